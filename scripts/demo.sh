#!/usr/bin/env bash
# The main job on embedded defaults: build an image, push it to the embedded registry, remove it here, pull it back, look into it,
# mount it, and show what `run` would do. Needs Node.js and npm only; leaves nothing running.
set -euo pipefail
cd "$(dirname "$0")/.."

node scripts/compile.mjs

# RUN needs bubblewrap, and of an ordinary user a user namespace; without them another example without RUN is built.
context=examples/demo
if [ "$(id -u)" = 0 ] && ! command -v bwrap >/dev/null && command -v apt-get >/dev/null; then
  printf 'installing bubblewrap, which RUN needs …\n'
  { apt-get update -qq && apt-get install -y -qq bubblewrap; } >/dev/null 2>&1 || true
fi
if ! command -v bwrap >/dev/null || ! { [ "$(id -u)" = 0 ] || unshare --user --mount --map-root-user true 2>/dev/null; }; then
  printf 'no bubblewrap, or no user namespaces: building examples/rootfs, which has no RUN\n'
  context=examples/rootfs
fi

home=$(mktemp -d)
registry_pid=''
tidy() {
  bin/slipway umount --all >/dev/null 2>&1 || true
  [ -z "$registry_pid" ] || kill "$registry_pid" 2>/dev/null || true
  [ -z "$registry_pid" ] || wait "$registry_pid" 2>/dev/null || true
  rm -rf "$home"
}
trap tidy EXIT
export SLIPWAY_ROOT=$home/store

bold='' plain=''
if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then bold=$'\033[1m' plain=$'\033[0m'; fi
show() { printf '\n%s$ slipway %s%s\n' "$bold" "$*" "$plain"; bin/slipway "$@"; }

printf '$ slipway registry serve --listen 127.0.0.1:0 &\n'
mkfifo "$home/ready"
bin/slipway registry serve --root "$home/registry" --listen 127.0.0.1:0 --json >"$home/ready" 2>"$home/registry.log" &
registry_pid=$!
read -r line <"$home/ready" || { cat "$home/registry.log" >&2; exit 1; }
address=$(node -p 'JSON.parse(process.argv[1]).address' "$line")
image=$address/demo/cluster:v1

show build -t "$image" "$context"
show images
show push "$image"
show rmi "$image"
show prune
show pull "$image"
show inspect "$image"
show inspect --rootfs "$image"
show mount "$image" "$home/rootfs"
printf '\n$ ls -l %s\n' "$home/rootfs"
ls -l "$home/rootfs"
show umount "$image"
# The demo's image holds no Kubernetes and this machine may be unfit for one: the plan says so, beside what would be done.
show run "$image" --masters 127.0.0.1 --dry-run || printf '(the problems above are why nothing could be launched here now; the plan changes nothing)\n'
printf '\nThat was the main job. Next: README.md, "Five minutes".\n'

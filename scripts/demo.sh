#!/usr/bin/env bash
# The main job on embedded defaults: build an image, push it to the embedded registry, remove it here, pull it back, look into it,
# mount it, and show what `run` would do. Needs Node.js and npm only; leaves nothing running. As root it mounts, else it lists.
set -euo pipefail
cd "$(dirname "$0")/.."

node scripts/compile.mjs

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

show() { printf '\n\033[1m$ slipway %s\033[0m\n' "$*"; bin/slipway "$@"; }
[ -t 1 ] && [ -z "${NO_COLOR:-}" ] || show() { printf '\n$ slipway %s\n' "$*"; bin/slipway "$@"; }

printf '$ slipway registry serve --listen 127.0.0.1:0 &\n'
mkfifo "$home/ready"
bin/slipway registry serve --root "$home/registry" --listen 127.0.0.1:0 --json >"$home/ready" 2>"$home/registry.log" &
registry_pid=$!
read -r line <"$home/ready" || { cat "$home/registry.log" >&2; exit 1; }
address=$(node -p 'JSON.parse(process.argv[1]).address' "$line")
image=$address/demo/cluster:v1

show build -t "$image" examples/demo
show images
show push "$image"
show rmi "$image"
show prune
show pull "$image"
show inspect "$image"
show inspect --rootfs "$image"
if [ "$(id -u)" = 0 ]; then
  show mount "$image" "$home/rootfs"
  printf '\n$ ls %s\n' "$home/rootfs"
  mkdir -p "$home/rootfs"
  ls -l "$home/rootfs"
  show umount "$image"
else
  printf '\n(not root: the rootfs is listed above instead of mounted)\n'
fi
show run "$image" --masters 127.0.0.1 --dry-run
printf '\nThat was the main job. Next: README.md, "A cluster in five minutes".\n'

#!/bin/bash
# Installs the Debian packages that the tests need beside Node: peers to compare with, and what makes the lab.
#   packages.sh           install what is missing (as root, on Debian); nothing to do takes no time
#   packages.sh --check   only say what is missing
# Ends with 0 when everything is installed, with 1 when something is missing. Starts no service on this machine.
set -euo pipefail

PACKAGES=(
  # peers that write, read and run images
  skopeo buildah umoci podman runc containerd docker-registry apache2-utils
  # what clusters are made of
  containernetworking-plugins etcd-server etcd-client busybox-static
  # tools of the tests
  bubblewrap fuse-overlayfs fuse3 uidmap shellcheck zstd attr procps util-linux git curl wget openssl perl python3 time
  gcc golang-go libc6-dev strace libarchive-tools zsh fish
  # hosts and the lab
  openssh-client openssh-server sudo iproute2 iptables debootstrap systemd-container
)
POLICY=/usr/sbin/policy-rc.d

missing() {
  local known
  known=$(dpkg-query -W -f='${db:Status-Status} ${Package}\n' "${PACKAGES[@]}" 2>/dev/null || true)
  for package in "${PACKAGES[@]}"; do
    grep -qx "installed $package" <<<"$known" || echo "$package"
  done
}

give_up() {
  printf '%s\n' "$1" "missing: ${wanted[*]}" >&2
  exit 1
}

case ${1:-} in '' | --check) ;; *)
  sed -n '2,5p' "$0" >&2
  exit 2
  ;;
esac

wanted=("${PACKAGES[@]}")
command -v dpkg-query >/dev/null || give_up 'this is not a Debian system: install these, or what they are called here'
mapfile -t wanted < <(missing)
[ ${#wanted[@]} -gt 0 ] || exit 0
[ "${1:-}" != --check ] || give_up 'some packages are not installed'
[ "$(id -u)" = 0 ] || give_up "run this as root: apt-get install ${wanted[*]}"
command -v apt-get >/dev/null || give_up 'there is no apt-get here'

# Debian starts a service when its package is installed, unless this file forbids it (invoke-rc.d(8))
if [ ! -e "$POLICY" ]; then
  trap 'rm -f "$POLICY"' EXIT
  trap 'exit 130' INT TERM HUP
  printf '#!/bin/sh\nexit 101\n' >"$POLICY"
  chmod 755 "$POLICY"
fi

export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
echo "installing: ${wanted[*]}"
if ! { apt-get update && apt-get install -y "${wanted[@]}"; } >"$log" 2>&1; then
  tail -n 20 "$log" >&2
fi
rm -f "$log"
mapfile -t wanted < <(missing)
[ ${#wanted[@]} -eq 0 ] || give_up 'apt-get could not install everything'

#!/bin/bash
# Downloads what the base image is made of, for one architecture: k3s, nerdctl, the cluster's registry, the image list.
#   ./fetch.sh [--version vX.Y.Z+k3sN] [--arch amd64|arm64] [--bundle] [--context DIR] [--pin]
# Default: the versions in ./versions, this machine's architecture, this directory (another DIR gets Kubefile and rootfs too).
# --bundle adds k3s' own archive of container images (ARCH/images), which nodes import without asking the registry.
# Several architectures: run it for each.
# Leaves ARCH/{bin,etc,images,Metadata} and imageList in DIR. They appear only when everything is there and verified: sha256 from
# ./checksums, else from the file the project publishes beside each download. What is downloaded stays in DIR/.cache, so a broken run
# goes on where it stopped. Proxies: http_proxy, https_proxy, no_proxy.
# A mirror: SLIPWAY_GITHUB_URL (https://github.com) names a server with the same paths.
set -Eeuo pipefail
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$HERE/fetch/download.sh"
. "$HERE/fetch/context.sh"

usage() { sed -n '2,11s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; }

VERSION=
ARCH=$(machine_arch)
BUNDLE=false
CONTEXT=$HERE
# shellcheck disable=SC2034 # download.sh reads it
PIN=false
read_versions
while [ $# -gt 0 ]; do
  case $1 in
    --version | --arch | --context) [ $# -ge 2 ] || die "$1 needs a value" ;;&
    --version) VERSION=$2 && shift 2 ;;
    --arch) ARCH=$2 && shift 2 ;;
    --context) CONTEXT=$2 && shift 2 ;;
    --bundle) BUNDLE=true && shift ;;
    --pin) PIN=true && shift ;;
    -h | --help) usage && exit 0 ;;
    *) die "unknown argument \"$1\" (see --help)" ;;
  esac
done
K3S_VERSION=${VERSION:-$K3S_VERSION}
[[ $K3S_VERSION =~ ^v[0-9]+\.[0-9]+\.[0-9]+(-[0-9A-Za-z.]+)?\+k3s[0-9]+$ ]] || die "--version \"$K3S_VERSION\": write it like v1.30.4+k3s1"
GITHUB=${SLIPWAY_GITHUB_URL:-https://github.com}
open_context

# k3s; "+" is written %2B in addresses
release=k3s-io/k3s/releases/download/${K3S_VERSION//+/%2B}
sums=$release/sha256sum-$ARCH.txt
case $ARCH in amd64) asset=k3s ;; *) asset=k3s-$ARCH ;; esac
download "$GITHUB" "$release/$asset" "$sums"
install -m 755 "$FILE" "$NEW/bin/k3s"
if [ "$BUNDLE" = true ]; then
  download "$GITHUB" "$release/k3s-airgap-images-$ARCH.tar.gz" "$sums"
  install -m 644 "$FILE" "$NEW/images/k3s-airgap-images-$ARCH.tar.gz"
fi

fetch_nerdctl "$NERDCTL_VERSION"
fetch_registry "$REGISTRY_VERSION"

# the images that this k3s runs; nodes fetch them before an upgrade
download "$GITHUB" "$release/k3s-images.txt" "$sums"
awk 'NF && !seen[$0]++' "$FILE" >"$CACHE/imageList.new"
grep -q '/mirrored-pause:' "$CACHE/imageList.new" || die "$FILE names no pause image: $(tr '\n' ' ' <"$CACHE/imageList.new")"
mkdir "$NEW/etc"
cp "$CACHE/imageList.new" "$NEW/etc/k3s-images"

write_metadata "$K3S_VERSION" k3s
show_context "$K3S_VERSION" "k3s $K3S_VERSION$([ "$BUNDLE" = false ] || echo ' with its image bundle')"

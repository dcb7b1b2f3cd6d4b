#!/bin/bash
# Downloads what the base image is made of, for one architecture: k0s, kubectl, nerdctl, the cluster's registry, the image list.
#   ./fetch.sh [--version vX.Y.Z+k0s.N] [--arch amd64|arm64] [--bundle] [--context DIR] [--pin]
# Default: the versions in ./versions, this machine's architecture, this directory (another DIR gets Kubefile and rootfs too).
# --bundle adds k0s' own archive of container images (ARCH/images), which nodes import without asking the registry.
# Several architectures: run it for each.
# Leaves ARCH/{bin,images,Metadata} and imageList in DIR. They appear only when everything is there and verified: sha256 from
# ./checksums, else from the file the project publishes beside each download. What is downloaded stays in DIR/.cache, so a broken run
# goes on where it stopped. Proxies: http_proxy, https_proxy, no_proxy.
# Mirrors: SLIPWAY_K8S_URL (https://dl.k8s.io) and SLIPWAY_GITHUB_URL (https://github.com) name servers with the same paths.
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
K0S_VERSION=${VERSION:-$K0S_VERSION}
[[ $K0S_VERSION =~ ^v([0-9]+)\.([0-9]+)\.[0-9]+(-[0-9A-Za-z.]+)?\+k0s\.[0-9]+$ ]] || die "--version \"$K0S_VERSION\": write it like v1.31.14+k0s.0"
MINOR=$((BASH_REMATCH[1] * 1000 + BASH_REMATCH[2]))
RUNNER_ARCH=$(machine_arch)
if [ "$(uname -s)" != Linux ] || [ "$RUNNER_ARCH" = unknown ]; then
  die "only k0s itself knows its container images: run this on Linux (amd64 or arm64)"
fi
K8S=${SLIPWAY_K8S_URL:-https://dl.k8s.io}
GITHUB=${SLIPWAY_GITHUB_URL:-https://github.com}
open_context

# k0s
release=k0sproject/k0s/releases/download/$K0S_VERSION
download "$GITHUB" "$release/k0s-$K0S_VERSION-$ARCH" "$release/sha256sums.txt"
install -m 755 "$FILE" "$NEW/bin/k0s"
if [ "$BUNDLE" = true ]; then
  download "$GITHUB" "$release/k0s-airgap-bundle-$K0S_VERSION-$ARCH" "$release/sha256sums.txt"
  install -m 644 "$FILE" "$NEW/images/k0s-airgap-bundle-$K0S_VERSION-$ARCH"
fi

# kubectl for launch commands and for people: the one of the same Kubernetes
kubernetes=${K0S_VERSION%%+*}
bin=release/$kubernetes/bin/linux/$ARCH
download "$K8S" "$bin/kubectl" "$bin/kubectl.sha256"
install -m 755 "$FILE" "$NEW/bin/kubectl"

fetch_nerdctl "$NERDCTL_VERSION"
fetch_registry "$REGISTRY_VERSION"

# k0s knows the images of its version; that of this machine can be run, whatever the target is
download "$GITHUB" "$release/k0s-$K0S_VERSION-$RUNNER_ARCH" "$release/sha256sums.txt"
install -m 755 "$FILE" "$CACHE/k0s"
{
  printf 'apiVersion: k0s.k0sproject.io/v1beta1\nkind: ClusterConfig\nmetadata: {name: k0s}\n'
  # from v1.29 on, workers find several masters by a proxy of their own, which is an image too
  if [ "$MINOR" -ge 1029 ]; then printf 'spec: {network: {nodeLocalLoadBalancing: {enabled: true, type: EnvoyProxy}}}\n'; fi
} >"$CACHE/k0s.yaml"
"$CACHE/k0s" airgap list-images --config="$CACHE/k0s.yaml" >"$CACHE/imageList.out" || die "\"k0s airgap list-images\" failed; see above"
awk 'NF && !seen[$0]++' "$CACHE/imageList.out" >"$CACHE/imageList.new"
grep -q '/pause:' "$CACHE/imageList.new" || die "\"k0s airgap list-images\" names no pause image: $(tr '\n' ' ' <"$CACHE/imageList.new")"

write_metadata "$K0S_VERSION" k0s
show_context "$K0S_VERSION" "k0s $K0S_VERSION$([ "$BUNDLE" = false ] || echo ' with its image bundle')"

#!/bin/bash
# Downloads what the base image is made of, for one architecture: programs, network plugins, the image list.
#   ./fetch.sh [--version vX.Y.Z] [--arch amd64|arm64] [--cni flannel|bridge|none] [--context DIR] [--pin]
# Default: the versions in ./versions, this machine's architecture, flannel, this directory (another DIR gets Kubefile and rootfs too).
# Several architectures: run it for each.
# Leaves ARCH/{bin,cni,etc,images,Metadata} (and ARCH/manifests/cni) and imageList in DIR. They appear only when everything is
# there and verified: sha256 from ./checksums, else from the file the project publishes beside each download. What is downloaded
# stays in DIR/.cache, so a broken run goes on where it stopped. Proxies: http_proxy, https_proxy, no_proxy.
# Mirrors: SLIPWAY_K8S_URL (https://dl.k8s.io) and SLIPWAY_GITHUB_URL (https://github.com) name servers with the same paths.
set -Eeuo pipefail
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$HERE/fetch/download.sh"
. "$HERE/fetch/context.sh"
. "$HERE/fetch/image-list.sh"

usage() { sed -n '2,10s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; }

VERSION=
ARCH=$(machine_arch)
CNI=flannel
CONTEXT=$HERE
# shellcheck disable=SC2034 # download.sh reads it
PIN=false
read_versions
while [ $# -gt 0 ]; do
  case $1 in
    --version | --arch | --cni | --context) [ $# -ge 2 ] || die "$1 needs a value" ;;&
    --version) VERSION=$2 && shift 2 ;;
    --arch) ARCH=$2 && shift 2 ;;
    --cni) CNI=$2 && shift 2 ;;
    --context) CONTEXT=$2 && shift 2 ;;
    --pin) PIN=true && shift ;;
    -h | --help) usage && exit 0 ;;
    *) die "unknown argument \"$1\" (see --help)" ;;
  esac
done
KUBERNETES_VERSION=${VERSION:-$KUBERNETES_VERSION}
case $CNI in flannel | bridge | none) ;; *) die "--cni \"$CNI\": not flannel, bridge or none" ;; esac
[[ $KUBERNETES_VERSION =~ ^v[0-9]+\.[0-9]+\.[0-9]+(-[0-9A-Za-z.]+)?$ ]] || die "--version \"$KUBERNETES_VERSION\": write it like v1.30.14"
K8S=${SLIPWAY_K8S_URL:-https://dl.k8s.io}
GITHUB=${SLIPWAY_GITHUB_URL:-https://github.com}
open_context
mkdir "$NEW/cni" "$NEW/etc"

# Kubernetes
bin=release/$KUBERNETES_VERSION/bin/linux
for program in kubeadm kubelet kubectl; do
  download "$K8S" "$bin/$ARCH/$program" "$bin/$ARCH/$program.sha256"
  install -m 755 "$FILE" "$NEW/bin/$program"
done

# container runtime; the static build runs on every libc
version=${CONTAINERD_VERSION#v}
path=containerd/containerd/releases/download/v$version/containerd-static-$version-linux-$ARCH.tar.gz
download "$GITHUB" "$path" "$path.sha256sum"
take "$FILE" containerd ctr containerd-shim-runc-v2
path=opencontainers/runc/releases/download/$RUNC_VERSION
download "$GITHUB" "$path/runc.$ARCH" "$path/runc.sha256sum"
install -m 755 "$FILE" "$NEW/bin/runc"
path=kubernetes-sigs/cri-tools/releases/download/$CRICTL_VERSION/crictl-$CRICTL_VERSION-linux-$ARCH.tar.gz
download "$GITHUB" "$path" "$path.sha256"
take "$FILE" crictl

fetch_registry "$REGISTRY_VERSION"

# network
path=containernetworking/plugins/releases/download/$CNI_PLUGINS_VERSION/cni-plugins-linux-$ARCH-$CNI_PLUGINS_VERSION.tgz
download "$GITHUB" "$path" "$path.sha256"
tar -xzf "$FILE" --no-same-owner -C "$NEW/cni" || die "unpacking $FILE: not a tar.gz archive"
find "$NEW/cni" -type f \( -name LICENSE -o -name README.md \) -delete
case $CNI in
  flannel)
    # flannel publishes no checksum file
    download "$GITHUB" "flannel-io/flannel/releases/download/$FLANNEL_VERSION/kube-flannel.yml" ""
    grep -q 'kind: DaemonSet' "$FILE" || die "$FILE: is not flannel's manifest"
    mkdir -p "$NEW/manifests/cni"
    install -m 644 "$FILE" "$NEW/manifests/cni/kube-flannel.yml"
    ;;
  bridge)
    install -m 644 "$HERE/cni/bridge.conflist.in" "$NEW/etc/cni-bridge.conflist.in"
    ;;
esac

write_metadata "$KUBERNETES_VERSION" k8s

# kubeadm knows the images of its version; that of this machine can be run, whatever the target is
runner=
if [ "$(uname -s)" = Linux ] && [ "$(machine_arch)" != unknown ]; then
  download "$K8S" "$bin/$(machine_arch)/kubeadm" "$bin/$(machine_arch)/kubeadm.sha256"
  runner=$CACHE/kubeadm
  install -m 755 "$FILE" "$runner"
fi
image_list "$runner" "$KUBERNETES_VERSION" "$HERE/image-versions" "$NEW/manifests/cni" >"$CACHE/imageList.new"
grep -m1 '/pause:' "$CACHE/imageList.new" >"$NEW/etc/sandbox-image"

show_context "$KUBERNETES_VERSION" "Kubernetes $KUBERNETES_VERSION, containerd $CONTAINERD_VERSION, runc $RUNC_VERSION, network $CNI"

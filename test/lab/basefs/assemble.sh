#!/bin/bash
# A build context like basefs/kubernetes after fetch.sh, without the internet: Debian's containerd, runc, network plugins and registry, and
# the Kubernetes programs that test/lab/kubernetes.sh builds from Debian's source package.
#   assemble.sh DEST
# DEST, which must not exist, gets Kubefile, rootfs/, ARCH/ and imageList. The images in imageList come from images.sh.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
. ./parts.sh

DEST=${1:?usage: assemble.sh DEST}
[ ! -e "$DEST" ] || die "$DEST exists already"
need containerd ctr containerd-shim-runc-v2 runc docker-registry
need_kubernetes

BASE=../../../basefs/kubernetes
PART=$DEST.part
rm -rf "$PART"
mkdir -p "$PART/$ARCH"/{bin,cni,etc}
trap 'rm -rf "$PART"' EXIT
cp -R "$BASE/Kubefile" "$BASE/rootfs" "$PART/"

for program in containerd ctr containerd-shim-runc-v2 runc; do cp "$(command -v "$program")" "$PART/$ARCH/bin/"; done
cp "$(command -v docker-registry)" "$PART/$ARCH/bin/registry"
kubernetes "$PART/$ARCH/bin" kubeadm kubelet kubectl
cp crictl "$PART/$ARCH/bin/crictl"
cp /usr/lib/cni/{bridge,host-local,loopback,portmap} "$PART/$ARCH/cni/"
chmod 755 "$PART/$ARCH"/{bin,cni}/*
# one bridge a host: pods of different hosts do not reach each other, which is enough for the tests
cp "$BASE/cni/bridge.conflist.in" "$PART/$ARCH/etc/cni-bridge.conflist.in"
printf '{\n  "version": "%s",\n  "arch": "%s",\n  "variant": "",\n  "kubeVersion": "",\n  "NydusFlag": false,\n  "ClusterRuntime": "k8s"\n}\n' \
  "$KUBERNETES_VERSION" "$ARCH" >"$PART/$ARCH/Metadata"
image_list >"$PART/imageList"
grep /pause: "$PART/imageList" >"$PART/$ARCH/etc/sandbox-image"
check_libraries "$PART/$ARCH"/{bin,cni}/*
mv "$PART" "$DEST"
echo "$DEST"

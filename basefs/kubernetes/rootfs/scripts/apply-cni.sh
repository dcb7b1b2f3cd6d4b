#!/bin/bash
# The launch command of this image: applies the network plugin in <rootfs>/manifests/cni, if the image has one. Runs on the first
# master once the API server answers, with KUBECONFIG set. PodCIDR (from the installer) replaces flannel's default network.
set -Eeuo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
. lib/messages.sh

MANIFESTS=$(cd .. && pwd)/manifests/cni
export KUBECONFIG=${KUBECONFIG:-/etc/kubernetes/admin.conf}

shopt -s nullglob
files=("$MANIFESTS"/*.yaml "$MANIFESTS"/*.yml)
if [ ${#files[@]} = 0 ]; then
  say "this image has no network plugin to apply (manifests/cni is empty)"
  exit 0
fi
if [ -n "${PodCIDR:-}" ] && ! [[ $PodCIDR =~ ^[0-9A-Fa-f.:/,]+$ ]]; then die "applying the network plugin: PodCIDR \"$PodCIDR\" is not a network"; fi
for file in "${files[@]}"; do
  step "applying ${file##*/}"
  # the IPv4 network of a dual-stack pair is the one flannel's default stands for
  sed "s|\"Network\": \"10.244.0.0/16\"|\"Network\": \"$(cut -d, -f1 <<<"${PodCIDR:-10.244.0.0/16}")\"|" "$file" | kubectl apply -f -
done

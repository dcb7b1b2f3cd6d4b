#!/bin/bash
# Build contexts of the container images that the lab's cluster runs, one directory each, for `slipway build --build-mode lite`.
#   images.sh DEST
# DEST/images.tsv has a line an image: its directory, and the name under which Kubernetes asks for it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
. ./parts.sh

DEST=${1:?usage: images.sh DEST}
[ ! -e "$DEST" ] || die "$DEST exists already"
need etcd etcdctl busybox xtables-nft-multi
need_kubernetes

mkdir -p "$DEST"
cp -R images/. "$DEST/"
for component in kube-apiserver kube-controller-manager kube-scheduler kube-proxy; do kubernetes "$DEST/$component" "$component"; done
for image in pause coredns web; do cp "$(command -v busybox)" "$DEST/$image/busybox"; done
copy_with_libraries "$DEST/etcd/rootfs" /usr/bin/etcd /usr/bin/etcdctl

# kube-proxy calls iptables, which loads its extensions as it needs them; the hosts have the nft flavour too, and both must write the
# same tables
PROXY=$DEST/kube-proxy/rootfs
mapfile -t EXTENSIONS < <(find /usr/lib -path '*/xtables/*.so')
copy_with_libraries "$PROXY" /usr/sbin/xtables-nft-multi "${EXTENSIONS[@]}"
for name in iptables iptables-save iptables-restore ip6tables ip6tables-save ip6tables-restore; do ln -s xtables-nft-multi "$PROXY/usr/sbin/$name"; done

image_list | while read -r reference; do
  name=${reference##*/}
  printf '%s\t%s\n' "${name%:*}" "$reference"
done >"$DEST/images.tsv"
echo "$DEST"

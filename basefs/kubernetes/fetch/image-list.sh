# shellcheck shell=bash
# The container images that the cluster needs.

# image_list KUBEADM VERSION TABLE MANIFESTS: what kubeadm says for VERSION (KUBEADM may be empty: then the table), and the images of
# the network plugin's manifests.
image_list() {
  local kubeadm=$1 version=$2 table=$3 manifests=$4 list=
  if [ -n "$kubeadm" ]; then
    list=$("$kubeadm" config images list --kubernetes-version "$version" 2>/dev/null) || warn "$kubeadm: cannot be run here"
  fi
  if [ -z "$list" ]; then list=$(table_list "$version" "$table") || exit 1; fi
  [[ $list == */pause:* ]] || die "the image list of $version has no pause image: $list"
  {
    printf '%s\n' "$list"
    if [ -d "$manifests" ]; then sed -n -E "s/^[[:space:]]*(- )?image:[[:space:]]*[\"']?([^\"'[:space:]]+).*/\2/p" "$manifests"/*.y*ml; fi
  } | awk 'NF && !seen[$0]++'
}

table_list() {
  local version=$1 minor registry pause etcd coredns component
  minor=${version#v}
  minor=${minor%.*}
  read -r _ registry pause etcd coredns < <(awk -v minor="$minor" '$1 == minor' "$2") ||
    die "kubeadm cannot be run on this machine, and $2 does not know $minor; run fetch.sh on Linux (amd64 or arm64)"
  warn "the image list is that of v$minor.0, from a table, because kubeadm cannot be run on this machine; compare it with \`kubeadm config images list\`"
  for component in kube-apiserver kube-controller-manager kube-scheduler kube-proxy; do echo "$registry/$component:$version"; done
  printf '%s\n' "$registry/$coredns" "$registry/pause:$pause" "$registry/etcd:$etcd"
}

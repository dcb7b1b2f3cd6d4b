# shellcheck shell=bash
# kubelet as a systemd unit, and the programs and network plugins of the image.

# install_programs ROOTFS [NAME…]: bin/* (or only those named) to /usr/bin, as sealer's images expect. The registry stays: only
# the host that serves it runs it, from the rootfs.
install_programs() {
  local rootfs=$1 source name
  shift
  step "installing programs"
  for source in "$rootfs"/bin/*; do
    [ -f "$source" ] || continue
    name=${source##*/}
    [ "$name" = registry ] && continue
    if [ $# -gt 0 ] && [[ " $* " != *" $name "* ]]; then continue; fi
    put "$source" "/usr/bin/$name" 755
  done
}

install_cni() {
  local rootfs=$1 source cidr text
  step "installing network plugins"
  claim_tree /etc/cni
  claim_tree /var/lib/cni
  for source in "$rootfs"/cni/*; do if [ -f "$source" ]; then put "$source" "/opt/cni/bin/${source##*/}" 755; fi; done
  if [ -r "$rootfs/etc/cni-bridge.conflist.in" ]; then
    cidr=$(host_pod_cidr)
    text=$(fill "$rootfs/etc/cni-bridge.conflist.in" "HOST_POD_CIDR=$cidr")
    put_text /etc/cni/net.d/10-bridge.conflist 644 "$text"
  fi
}

# host_pod_cidr: the addresses of this host's pods where the image uses the plain bridge: HostPodCIDR, or 10.88.N.0/24 with
# the last number of the host's address.
host_pod_cidr() {
  local ip=${HostIP:-}
  if [ -n "${HostPodCIDR:-}" ]; then printf '%s' "$HostPodCIDR" && return; fi
  [ -n "$ip" ] || ip=$(ip -4 route get 192.0.2.1 2>/dev/null | sed -n 's/.* src \([0-9.]*\).*/\1/p')
  case $ip in
    *.*.*.*) printf '10.88.%s.0/24' "${ip##*.}" ;;
    *) die "choosing pod addresses: this host's address is not known; set HostIP or HostPodCIDR" ;;
  esac
}

install_kubelet() {
  local rootfs=$1 driver=$2 dropin
  step "installing kubelet"
  claim_tree /var/lib/kubelet
  claim_tree /etc/kubernetes
  claim_tree /var/lib/etcd
  claim_tree /usr/libexec/kubernetes
  # kube-proxy mounts it, and kubelet makes it where there is none
  expect_dir "$(realpath -m /lib/modules)"
  put "$rootfs/etc/kubelet.service" /etc/systemd/system/kubelet.service 644
  dropin=$(fill "$rootfs/etc/10-kubeadm.conf.in" "CGROUP_DRIVER=$driver")
  put_text /etc/systemd/system/kubelet.service.d/10-kubeadm.conf 644 "$dropin"
  # read by whoever writes the kubeadm configuration
  put_text /etc/slipway/cgroup-driver 644 "$driver"
  unit_known kubelet.service
  if changed /etc/systemd/system/kubelet.service /etc/systemd/system/kubelet.service.d/10-kubeadm.conf; then systemctl daemon-reload; fi
  systemctl is-enabled -q kubelet.service || systemctl enable -q kubelet.service
  # kubeadm starts it; one that runs already must take up what is new
  if changed /usr/bin/kubelet /etc/systemd/system/kubelet.service /etc/systemd/system/kubelet.service.d/10-kubeadm.conf &&
    systemctl is-active -q kubelet.service; then
    systemctl restart kubelet.service
  fi
}

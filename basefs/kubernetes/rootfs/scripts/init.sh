#!/bin/bash
# Makes this host ready for kubeadm: programs, container runtime, kubelet, kernel settings.
#   cd <rootfs>/scripts && bash init.sh [storage-dir] [registry-domain] [registry-port]
# storage-dir is where containerd keeps images and containers (default /var/lib/containerd). The registry is not needed here:
# mirrors are written by the installer; the arguments are checked, and are there because sealer's images have them.
# Environment: HostIP HostPodCIDR CgroupDriver SandboxImage RegistryDomain RegistryPort (all optional).
# May be run again at any time: what is there already is left alone, and nothing restarts. clean.sh undoes it.
set -Eeuo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
. lib/messages.sh
. lib/record.sh
. lib/kernel.sh
. lib/containerd.sh
. lib/kubelet.sh

ROOTFS=$(cd .. && pwd)
STORAGE=${1:-/var/lib/containerd}
DOMAIN=${2:-${RegistryDomain:-sea.hub}}
PORT=${3:-${RegistryPort:-5000}}

[[ $STORAGE =~ ^/[^[:space:]@\"\\]+$ ]] || die "reading arguments: storage-dir \"$STORAGE\" is not an absolute path without blanks and quotes"
check_address "$PORT" "$DOMAIN"
need_root
need_systemd
for program in containerd kubelet kubeadm runc; do
  [ -x "$ROOTFS/bin/$program" ] || die "installing programs: $ROOTFS/bin/$program is missing; the image was built without it (basefs/kubernetes/fetch.sh)"
done

check_programs
load_modules "$ROOTFS"
set_sysctls "$ROOTFS"
turn_swap_off
install_programs "$ROOTFS"
install_cni "$ROOTFS"
step "choosing the cgroup driver"
DRIVER=$(cgroup_driver)
install_containerd "$ROOTFS" "$STORAGE" "$DRIVER"
install_kubelet "$ROOTFS" "$DRIVER"

if [ ${#CHANGED[@]} = 0 ]; then say "nothing to do: this host is ready"; else say "this host is ready (${#CHANGED[@]} files, cgroup driver $DRIVER)"; fi

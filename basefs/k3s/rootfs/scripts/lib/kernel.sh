# shellcheck shell=bash
# What Kubernetes wants of the kernel: modules, settings, no swap. What a host does not let us do is said, and goes on:
# kubeadm's own checks decide whether it matters.

load_modules() {
  local rootfs=$1 module
  step "loading kernel modules"
  put "$rootfs/etc/modules.conf" /etc/modules-load.d/slipway-kubernetes.conf 644
  while read -r module; do
    # built in: no modprobe needed, and a container has none
    case $module in
      overlay) grep -qw overlay /proc/filesystems && continue ;;
      br_netfilter) [ -e /proc/sys/net/bridge/bridge-nf-call-iptables ] && continue ;;
    esac
    modprobe "$module" 2>/dev/null || warn "kernel module $module: cannot be loaded here; load it on the machine that owns the kernel (modprobe $module)"
  done < <(grep -vE '^[[:space:]]*(#|$)' "$rootfs/etc/modules.conf")
}

set_sysctls() {
  local rootfs=$1 key value file
  step "setting kernel parameters"
  put "$rootfs/etc/sysctl.conf" /etc/sysctl.d/99-slipway-kubernetes.conf 644
  while IFS='= ' read -r key value; do
    file=/proc/sys/${key//.//}
    if [ ! -e "$file" ]; then
      warn "$key: this kernel does not have it (for net.bridge.*: module br_netfilter)"
    elif [ "$(cat "$file")" != "$value" ]; then
      [ -n "$(recorded sysctl | awk -F '\t' -v key="$key" '$1 == key')" ] || record sysctl "$key" "$(cat "$file")"
      (echo "$value" >"$file") 2>/dev/null || warn "$key: cannot be set to $value here"
    fi
  done < <(grep -vE '^[[:space:]]*(#|$)' "$rootfs/etc/sysctl.conf")
}

# kubelet refuses to run with swap. Lines of /etc/fstab are commented out with a mark, so that clean.sh finds them.
SWAP_MARK='#slipway-swap# '
turn_swap_off() {
  step "turning swap off"
  if [ -f "$FSTAB" ] && grep -qE '^[^#[:space:]]+[[:space:]]+[^[:space:]]+[[:space:]]+swap[[:space:]]' "$FSTAB"; then
    record swap "$FSTAB"
    sed -E "s|^([^#[:space:]]+[[:space:]]+[^[:space:]]+[[:space:]]+swap[[:space:]])|$SWAP_MARK\\1|" "$FSTAB" >"$FSTAB.slipway-new"
    chmod --reference="$FSTAB" "$FSTAB.slipway-new"
    mv -f "$FSTAB.slipway-new" "$FSTAB"
    say "$FSTAB: swap is commented out (kubelet does not run with swap); clean.sh brings it back"
  fi
  if [ "$(wc -l </proc/swaps)" -gt 1 ]; then
    record swap "$FSTAB"
    swapoff -a || warn "swap: cannot be turned off here; kubelet will refuse to run unless failSwapOn is false"
  fi
}
FSTAB=${SLIPWAY_FSTAB:-/etc/fstab}

# What kubeadm or kubelet call and an image cannot bring.
check_programs() {
  local program missing=
  for program in conntrack ip iptables mount nsenter; do command -v "$program" >/dev/null || missing="$missing $program"; done
  [ -z "$missing" ] || warn "missing on this host:$missing (Debian: apt install conntrack iproute2 iptables mount util-linux)"
  if command -v getenforce >/dev/null && [ "$(getenforce)" = Enforcing ]; then warn "SELinux is enforcing: containers may not read host paths; see the README"; fi
  if systemctl is-active -q firewalld.service 2>/dev/null; then warn "firewalld is running: open the cluster's ports, or stop it"; fi
}

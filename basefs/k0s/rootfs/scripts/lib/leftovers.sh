# shellcheck shell=bash
# What running pods leave on a host beside files: processes, mounts, network.

# kill_pods: every container of Kubernetes (containerd's k8s.io) with all its processes. Containers of other users of
# containerd, such as Docker, are not touched.
kill_pods() {
  local pid shims=() processes=()
  step "stopping containers"
  for pid in $(processes_of containerd-shim); do
    if [[ $(tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null || true) =~ -namespace\ (k8s\.io|slipway-registry)\  ]]; then shims+=("$pid"); fi
  done
  [ ${#shims[@]} -gt 0 ] || return 0
  mapfile -t processes < <(with_descendants "${shims[@]}")
  say "stopping ${#shims[@]} containers or pods that still run"
  kill -9 "${processes[@]}" 2>/dev/null || true
  for pid in "${processes[@]}"; do
    for _ in $(seq 100); do [ -e "/proc/$pid" ] || break; sleep 0.05; done
  done
}

# processes_of NAME: the processes whose program begins with NAME.
processes_of() {
  local stat
  for stat in /proc/[0-9]*/stat; do
    if grep -qs "^[0-9]* ($1" "$stat"; then stat=${stat#/proc/} && echo "${stat%/stat}"; fi
  done
}

with_descendants() {
  cat /proc/[0-9]*/stat 2>/dev/null | sed -n 's/^\([0-9]*\) (.*) [A-Za-z] \([0-9]*\) .*/\1 \2/p' | awk -v roots="$*" '
    BEGIN { n = split(roots, list, " "); for (i = 1; i <= n; i++) wanted[list[i]] = 1 }
    { parent[$1] = $2 }
    END {
      do { more = 0; for (p in parent) if (!(p in wanted) && (parent[p] in wanted)) { wanted[p] = 1; more = 1 } } while (more)
      for (p in wanted) print p
    }'
}

# unmount_below DIRECTORY: everything mounted on it or below it, the deepest first.
unmount_below() {
  local mount
  while read -r mount; do
    mount=$(printf '%b' "$mount")
    umount "$mount" 2>/dev/null || umount -l "$mount" || warn "$mount: cannot be unmounted"
  done < <(awk -v dir="$1" '$5 == dir || index($5, dir "/") == 1 { print $5 }' /proc/self/mountinfo | sort -r)
}

# remove_network: the interfaces, namespaces and packet filter rules of pods and services.
remove_network() {
  local name tool rules
  step "removing the pods' network"
  for name in /run/netns/cni-*; do
    [ -e "$name" ] || continue
    umount "$name" 2>/dev/null || true
    rm -f "$name"
  done
  if [ -d /run/netns ]; then rmdir --ignore-fail-on-non-empty /run/netns; fi
  for name in cni0 flannel.1 flannel-v6.1 kube-ipvs0; do
    # asked of the kernel: in a container /sys may show another machine's interfaces
    if ip link show "$name" >/dev/null 2>&1; then ip link delete "$name" || warn "network interface $name: cannot be removed"; fi
  done
  for tool in iptables ip6tables iptables-legacy ip6tables-legacy; do
    command -v "$tool-save" >/dev/null || continue
    rules=$("$tool-save" 2>/dev/null) || continue
    if grep -qE -- '(KUBE-|CNI-|FLANNEL-)' <<<"$rules"; then
      grep -vE -- '(KUBE-|CNI-|FLANNEL-)' <<<"$rules" | "$tool-restore" || warn "$tool: rules of Kubernetes cannot be removed"
    fi
  done
}

# remove_sandboxes WAS: containerd's run-time files of pods; everything of containerd when it did not run before us.
remove_sandboxes() {
  local run=/run/containerd one
  for one in "$run/io.containerd.grpc.v1.cri" "$run/io.containerd.runtime.v2.task/k8s.io"; do
    unmount_below "$one"
    rm -rf --one-file-system "$one"
  done
  if [[ $1 != *active* ]]; then
    unmount_below "$run"
    rm -rf --one-file-system "$run"
  fi
  rm -rf /run/flannel
}

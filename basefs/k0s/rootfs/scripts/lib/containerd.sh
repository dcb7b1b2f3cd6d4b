# shellcheck shell=bash
# The container runtime: containerd with what this host can do written into its configuration.

# sandbox_image ROOTFS: the pause image: SandboxImage, or what fetch.sh wrote beside the programs, or the first one of the image list
# (which an image built on this one may have replaced).
sandbox_image() {
  local rootfs=$1 image=${SandboxImage:-} list=$1/manifests/imageList
  if [ -z "$image" ] && [ -r "$rootfs/etc/sandbox-image" ]; then read -r image <"$rootfs/etc/sandbox-image" || true; fi
  if [ -z "$image" ] && [ -r "$list" ]; then image=$(tr -d '\r' <"$list" | grep -m1 -E '^[^#]*/pause[:@]' || true); fi
  [ -n "$image" ] || die "configuring containerd: no pause image: neither $rootfs/etc/sandbox-image nor $list names one; set SandboxImage (k8s.gcr.io/pause:3.2 …)"
  printf '%s' "$image"
}

# cgroup_driver: `systemd` when systemd can give a scope its own cgroup with the controllers that pods need, else
# `cgroupfs`. Asked by doing it: what `systemctl --version` or the mount table say does not tell it in containers.
cgroup_driver() {
  local groups
  if [ -n "${CgroupDriver:-}" ]; then
    case $CgroupDriver in
      systemd | cgroupfs) printf '%s' "$CgroupDriver" && return ;;
      *) die "choosing the cgroup driver: CgroupDriver is \"$CgroupDriver\", not systemd or cgroupfs" ;;
    esac
  fi
  groups=$(systemd-run --quiet --scope -p CPUAccounting=yes -p MemoryAccounting=yes -p TasksAccounting=yes \
    cat /proc/self/cgroup 2>/dev/null) || groups=
  if [ "$(stat -fc %T /sys/fs/cgroup)" = cgroup2fs ]; then
    if grep -q '^0::.*\.scope$' <<<"$groups" && has_controllers; then printf systemd; else printf cgroupfs; fi
  elif grep -qE '^[0-9]+:([a-z_,]*,)?memory(,[a-z_,]*)?:.*\.scope$' <<<"$groups" &&
    grep -qE '^[0-9]+:([a-z_,]*,)?cpu(,[a-z_,]*)?:.*\.scope$' <<<"$groups"; then
    printf systemd
  else
    printf cgroupfs
  fi
}
has_controllers() {
  local one
  for one in cpu memory pids; do grep -qw "$one" /sys/fs/cgroup/cgroup.controllers || return 1; done
}

# may_lower_oom_score: does PID 1 have CAP_SYS_RESOURCE (bit 24), and does the kernel let it be used?
may_lower_oom_score() {
  local bounding
  bounding=$(awk '$1 == "CapBnd:" { print $2 }' /proc/1/status)
  [ $((16#$bounding >> 24 & 1)) = 1 ] || return 1
  (score=$(cat /proc/self/oom_score_adj) && [ "$score" -gt -1000 ] && echo $((score - 1)) >/proc/self/oom_score_adj) 2>/dev/null ||
    [ "$(cat /proc/self/oom_score_adj)" = -1000 ]
}

# snapshotter STORAGE: overlayfs, unless STORAGE is on an overlay itself, which cannot carry another one.
snapshotter() {
  local place=$1
  until [ -e "$place" ]; do place=$(dirname "$place"); done
  if [ "$(stat -fc %T "$place")" = overlayfs ]; then printf native; else printf overlayfs; fi
}

# install_containerd ROOTFS STORAGE DRIVER: configuration and unit; starts it, or restarts it when something it reads changed.
install_containerd() {
  local rootfs=$1 storage=$2 driver=$3 pause snapshots config restrict=false systemd_cgroup=false
  step "configuring containerd"
  pause=$(sandbox_image "$rootfs")
  snapshots=$(snapshotter "$storage")
  [ "$snapshots" = overlayfs ] || say "$storage is on an overlay file system: containerd copies layers (snapshotter native), which is slow and takes space; give it a real file system"
  if ! may_lower_oom_score; then
    restrict=true
    say "this host has no CAP_SYS_RESOURCE: containerd keeps oom scores as they are (restrict_oom_score_adj)"
  fi
  [ "$driver" = cgroupfs ] || systemd_cgroup=true
  claim_tree "$storage"
  claim_tree /opt/containerd
  claim_tree /etc/containerd/certs.d
  make_dir /etc/containerd/certs.d
  config=$(fill "$rootfs/etc/containerd.toml.in" "STORAGE=$storage" "SANDBOX_IMAGE=$pause" "SNAPSHOTTER=$snapshots" \
    "RESTRICT_OOM_SCORE_ADJ=$restrict" "SYSTEMD_CGROUP=$systemd_cgroup")
  put_text /etc/containerd/config.toml 644 "$config"
  put "$rootfs/etc/containerd.service" /etc/systemd/system/containerd.service 644
  put "$rootfs/etc/crictl.yaml" /etc/crictl.yaml 644

  step "starting containerd"
  unit_known containerd.service
  if changed /etc/systemd/system/containerd.service; then systemctl daemon-reload; fi
  systemctl is-enabled -q containerd.service || systemctl enable -q containerd.service
  if changed /etc/containerd/config.toml /etc/systemd/system/containerd.service /usr/bin/containerd; then
    systemctl restart containerd.service || die "starting containerd: $(why_not containerd.service)"
  elif ! systemctl is-active -q containerd.service; then
    systemctl start containerd.service || die "starting containerd: $(why_not containerd.service)"
  fi
}

# why_not UNIT: the last lines a unit said.
why_not() { journalctl -q --no-pager -o cat -n 5 -u "$1" 2>/dev/null || echo "see journalctl -u $1"; }

#!/bin/bash
# A lab of real hosts on one machine: Debian with systemd and sshd, each with its own network, hostname and machine-id.
#   lab.sh setup              makes the key and the base system (two minutes, once)
#   lab.sh up NAME IP         starts a host (two seconds); one that is up stays up, one that was killed boots again
#   lab.sh ssh NAME CMD…      runs a command over SSH as root
#   lab.sh exec NAME CMD…     runs a command inside without the network
#   lab.sh cable NAME up|down pulls the network cable, or plugs it in
#   lab.sh kill NAME          pulls the power plug; the disk stays
#   lab.sh down NAME          takes the host and its disk away
#   lab.sh down-all           takes everything away but the base system
#   lab.sh list               names and addresses
# Log in as root with the password `secret` or with the key $SLIPWAY_LAB/key. A host's disk is $SLIPWAY_LAB/NAME/root.
# Needs root and the packages of packages.sh. Settings, for a second lab beside the first:
#   SLIPWAY_LAB=/var/tmp/slipway-lab   SLIPWAY_LAB_BRIDGE=lab0   SLIPWAY_LAB_GATEWAY=10.99.0.1 (of a /24)
#   SLIPWAY_LAB_MIRROR=                the Debian mirror for debootstrap
set -euo pipefail

LAB=${SLIPWAY_LAB:-/var/tmp/slipway-lab}
BRIDGE=${SLIPWAY_LAB_BRIDGE:-lab0}
GATEWAY=${SLIPWAY_LAB_GATEWAY:-10.99.0.1}
MIRROR=${SLIPWAY_LAB_MIRROR:-}
BASE_PACKAGES=systemd,systemd-sysv,dbus,openssh-server,sudo,iproute2,iptables,conntrack,socat,ebtables,ethtool,kmod,ca-certificates,procps,curl,libseccomp2,libsqlite3-0
SSH=(ssh -o LogLevel=ERROR -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o BatchMode=yes -o ConnectTimeout=2 -i "$LAB/key")

fail() {
  echo "lab: $*" >&2
  exit 1
}

usage() {
  sed -n '2,15p' "$0" >&2
  exit 2
}

# locked NAME COMMAND…: one process at a time; the lock goes when this process and the command's children have ended
locked() {
  local lock=$LAB/.$1.lock
  shift
  exec 9>"$lock"
  flock 9
  "$@"
  exec 9>&-
}

unmount_below() {
  local target
  findmnt -rn -o TARGET | { grep -E "^$1(/|\$)" || true; } | sort -r | while read -r target; do umount -l "$target"; done
}

# An interrupted debootstrap leaves /proc mounted in it; nothing may be removed through a mount.
remove_tree() {
  unmount_below "$1"
  rm -rf --one-file-system "$1"
}

setup() {
  local program
  for program in debootstrap systemd-nspawn ssh-keygen ssh ip flock nsenter; do
    command -v "$program" >/dev/null || fail "$program is missing: run test/lab/packages.sh"
  done
  if [ ! -s "$LAB/key" ] || [ ! -s "$LAB/key.pub" ]; then
    rm -f "$LAB/key" "$LAB/key.pub"
    ssh-keygen -q -t ed25519 -N '' -C slipway-lab -f "$LAB/key"
  fi
  # All hosts share what root may have of these, and every systemd, containerd and kubelet takes some: without, containerd has no CRI.
  local instances=/proc/sys/fs/inotify/max_user_instances
  [ "$(cat "$instances")" -ge 1024 ] || echo 1024 >"$instances" 2>/dev/null || echo "lab: $instances is low, and cannot be raised" >&2
  [ ! -e "$LAB/base/.done" ] || return 0
  echo "lab: making the base system in $LAB/base (about two minutes)"
  remove_tree "$LAB/base"
  remove_tree "$LAB/base.new"
  debootstrap --variant=minbase --include="$BASE_PACKAGES" bookworm "$LAB/base.new" ${MIRROR:+"$MIRROR"} \
    >"$LAB/debootstrap.log" 2>&1 || fail "debootstrap failed: $(tail -n 3 "$LAB/debootstrap.log")"
  local new=$LAB/base.new unit
  sed -i 's/^#\?PermitRootLogin.*/PermitRootLogin yes/' "$new/etc/ssh/sshd_config"
  echo root:secret | chroot "$new" chpasswd
  # the network is made from outside; udev and networkd would wait for devices that never come
  for unit in systemd-networkd.service systemd-networkd.socket systemd-udevd.service systemd-resolved.service; do
    ln -sfn /dev/null "$new/etc/systemd/system/$unit"
  done
  : >"$new/etc/resolv.conf"
  rm -f "$new"/etc/ssh/ssh_host_* "$new"/var/cache/apt/archives/*.deb
  touch "$new/.done"
  mv "$new" "$LAB/base"
}

# process NAME: the pid of the host's nspawn, when it runs
process() {
  local pid
  pid=$(cat "$LAB/$1/pid" 2>/dev/null) || return 1
  tr '\0' '\n' 2>/dev/null <"/proc/$pid/cmdline" | grep -qxF -- "--machine=$1" && echo "$pid"
}

# leader NAME: the pid of the host's PID 1
leader() {
  local pid
  pid=$(process "$1") && pgrep -P "$pid" | head -n 1 | grep .
}

# v1_controllers: where this machine has the controllers of cgroup v1, if it has
v1_controllers() {
  findmnt -rn -t cgroup -o TARGET | grep -v '/systemd$' || true
}

# One cgroup a host: two kubelets would otherwise fight over the same kubepods.
enter_cgroups() {
  local group directory file files
  for group in $(findmnt -rn -t cgroup,cgroup2 -o TARGET); do
    directory=$group/$BRIDGE-$1
    mkdir -p "$directory"
    if [ -e "$group/cpuset.cpus" ]; then
      for file in cpuset.cpus cpuset.mems; do cat "$group/$file" >"$directory/$file"; done
      echo 1 >"$directory/cgroup.clone_children"
    fi
    # v2: a controller reaches a child only when the parent hands it on
    if [ -e "$group/cgroup.subtree_control" ]; then
      read -ra files <"$group/cgroup.controllers" || true
      for file in "${files[@]}"; do echo "+$file" >"$group/cgroup.subtree_control" || true; done 2>/dev/null
    fi
    echo "$BASHPID" >"$directory/cgroup.procs"
  done
}

leave_cgroups() {
  local group
  for group in $(findmnt -rn -t cgroup,cgroup2 -o TARGET); do
    [ ! -d "$group/$BRIDGE-$1" ] || find "$group/$BRIDGE-$1" -depth -type d -exec rmdir {} + 2>/dev/null || true
  done
}

bridge() {
  ip link show "$BRIDGE" >/dev/null 2>&1 || ip link add "$BRIDGE" type bridge
  ip addr replace "$GATEWAY/24" dev "$BRIDGE"
  ip link set "$BRIDGE" up
}

remove_network() {
  ip link del "$BRIDGE-$1" 2>/dev/null || true
  ip netns del "$BRIDGE-$1" 2>/dev/null || true
}

network() {
  local link=$BRIDGE-$1 ip=$2 part mac
  remove_network "$1"
  ip netns add "$link"
  # the same hardware address after each boot, as real hosts have: neighbours remember it for a while
  read -ra part <<<"${ip//./ }"
  mac=$(printf '02:00:%02x:%02x:%02x:%02x' "${part[@]}")
  ip link add "$link" type veth peer name eth0 address "$mac" netns "$link"
  ip link set "$link" master "$BRIDGE" up
  ip -n "$link" addr add "$ip/24" dev eth0
  ip -n "$link" link set eth0 up
  ip -n "$link" link set lo up
  ip -n "$link" route add default via "$GATEWAY"
}

disk() {
  local name=$1 ip=$2 host=$LAB/$1
  [ -e "$host/made" ] || remove_tree "$host"
  mkdir -p "$host"/{upper,work,root}
  mountpoint -q "$host/root" ||
    mount -t overlay overlay -o "lowerdir=$LAB/base,upperdir=$host/upper,workdir=$host/work" "$host/root"
  [ ! -e "$host/made" ] || return 0
  # /var/lib must be a real file system: overlay cannot be the upper layer of another overlay, which containerd needs
  cp -a "$LAB/base/var/lib" "$host/varlib"
  echo "$name" >"$host/root/etc/hostname"
  printf '127.0.0.1 localhost\n%s %s\n' "$ip" "$name" >"$host/root/etc/hosts"
  rm -f "$host/root/etc/machine-id"
  tr -d - </proc/sys/kernel/random/uuid >"$host/root/etc/machine-id"
  chroot "$host/root" ssh-keygen -A >/dev/null
  install -d -m 700 "$host/root/root/.ssh"
  install -m 600 "$LAB/key.pub" "$host/root/root/.ssh/authorized_keys"
  echo "$ip" >"$host/ip"
  touch "$host/made"
}

boot() {
  local name=$1 host=$LAB/$1
  (
    exec 9>&-
    enter_cgroups "$name"
    export SYSTEMD_NSPAWN_API_VFS_WRITABLE=1
    exec setsid systemd-nspawn --quiet --register=no --keep-unit --boot --directory="$host/root" --machine="$name" \
      --network-namespace-path="/run/netns/$BRIDGE-$name" --capability=all \
      --system-call-filter='@keyring bpf perf_event_open' --bind=/dev/kmsg --bind="$host/varlib:/var/lib"
  ) </dev/null >"$host/console.log" 2>&1 &
  echo $! >"$host/pid"
}

up() {
  local name=$1 ip=$2 host=$LAB/$1 tries=0 controller
  [ -e "$LAB/base/.done" ] || fail 'there is no base system: run lab.sh setup'
  if process "$name" >/dev/null; then
    [ "$(cat "$host/ip")" = "$ip" ] || fail "$name is up at $(cat "$host/ip"): take it down first"
    echo "$name is up at $ip"
    return
  fi
  [ ! -e "$host/made" ] || [ "$(cat "$host/ip")" = "$ip" ] || remove_tree "$host"
  disk "$name" "$ip"
  network "$name" "$ip"
  boot "$name"
  # sshd answers, and pam_nologin lets everybody in
  until "${SSH[@]}" "root@$ip" '[ ! -e /run/nologin ]' 2>/dev/null; do
    tries=$((tries + 1))
    kill -0 "$(cat "$host/pid")" 2>/dev/null || fail "$name did not boot: $(tail -n 3 "$host/console.log")"
    [ $tries -lt 150 ] || fail "$name does not answer at $ip: see $host/console.log"
    sleep 0.2
  done
  # nspawn mounts the controllers of cgroup v1 read-only; kubelet must write them
  for controller in $(v1_controllers); do
    controller=${controller##*/}
    inside "$name" sh -c "umount '/sys/fs/cgroup/$controller' && mount -t cgroup -o '$controller' cgroup '/sys/fs/cgroup/$controller'"
  done
  inside "$name" mount -o remount,rw /proc/sys 2>/dev/null || true
  echo "$name is up at $ip"
}

inside() {
  local name=$1 pid
  shift
  pid=$(leader "$name") || fail "$name is not up"
  nsenter -t "$pid" -m -u -i -n -p -C -- "$@"
}

cable() {
  local ip tries=0
  ip=$(cat "$LAB/$1/ip") || fail "$1 is not up"
  ip link set "$BRIDGE-$1" "$2"
  [ "$2" = up ] || return 0
  # what was learned while it was out is forgotten: the host can be reached when this returns
  ip neigh flush to "$ip" dev "$BRIDGE"
  until timeout 1 bash -c "</dev/tcp/$ip/22" 2>/dev/null || [ $tries -ge 20 ]; do
    tries=$((tries + 1))
    ip neigh flush to "$ip" dev "$BRIDGE"
    sleep 0.2
  done
}

power_off() {
  local pid one tries=0
  if pid=$(process "$1"); then
    # without its PID 1 every process of the host is gone, and nspawn ends
    if one=$(leader "$1"); then kill -KILL "$one" 2>/dev/null || true; fi
    while process "$1" >/dev/null; do
      tries=$((tries + 1))
      [ $tries -ne 50 ] || kill -KILL "$pid" 2>/dev/null || true
      sleep 0.1
    done
  fi
  rm -f "$LAB/$1/pid"
  leave_cgroups "$1"
}

down() {
  power_off "$1"
  remove_network "$1"
  remove_tree "$LAB/$1"
  echo "$1 is down"
}

hosts() {
  local file
  for file in "$LAB"/*/ip; do [ ! -e "$file" ] || basename "$(dirname "$file")"; done
}

check_name() {
  [[ ${1:-} =~ ^[a-z][a-z0-9-]*$ && $1 != base && $1 != base.new && $1 != kubernetes && $1 != images ]] || usage
  # the kernel allows 15 characters for the name of a network interface
  [ $((${#BRIDGE} + 1 + ${#1})) -le 15 ] || fail "the name $1 is too long"
}

[ "$(id -u)" = 0 ] || fail 'the lab needs root'
mkdir -p "$LAB"
command=${1:-}
shift || true
case $command in up | ssh | exec | cable | kill | down) check_name "${1:-}" ;; esac
case $command in
  setup) locked setup setup ;;
  up)
    [[ ${2:-} =~ ^[0-9]+(\.[0-9]+){3}$ ]] || usage
    locked bridge bridge
    locked "$1" up "$1" "$2"
    ;;
  ssh)
    ip=$(cat "$LAB/$1/ip") || fail "$1 is not up"
    shift
    exec "${SSH[@]}" "root@$ip" "$@"
    ;;
  exec) inside "$@" ;;
  cable)
    [[ ${2:-} =~ ^(up|down)$ ]] || usage
    cable "$1" "$2"
    ;;
  kill) locked "$1" power_off "$1" ;;
  down) locked "$1" down "$1" ;;
  down-all)
    for name in $(hosts); do locked "$name" down "$name"; done
    ip link del "$BRIDGE" 2>/dev/null || true
    ;;
  list) for name in $(hosts); do echo "$name $(cat "$LAB/$name/ip") $(process "$name" >/dev/null && echo up || echo off)"; done ;;
  *) usage ;;
esac

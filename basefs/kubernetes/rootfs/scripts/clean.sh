#!/bin/bash
# Takes everything away that init.sh and init-registry.sh put on this host, and brings back what was there before.
#   cd <rootfs>/scripts && bash clean.sh
# Works on a host that was set up only half way, and again. Run `kubeadm reset -f` first where the API server must hear of it
# (it removes the etcd member); this script needs no Kubernetes program. The rootfs itself stays: it is the installer's.
set -Eeuo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
. lib/messages.sh
. lib/record.sh
. lib/kernel.sh
. lib/leftovers.sh
. lib/undo.sh

need_root
need_systemd
bash clean-registry.sh
if [ ! -e "$RECORD" ]; then
  say "nothing to do: nothing is recorded in $RECORD"
  exit 0
fi
stop_units
kill_pods
unmount_below /var/lib/kubelet
remove_sandboxes "$(recorded unit | awk -F '\t' '$1 == "containerd.service" { print $2 }')"
remove_network
remove_trees
remove_files
remove_dirs
restore_kernel
restore_units
forget
say "this host is as it was"

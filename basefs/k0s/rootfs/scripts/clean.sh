#!/bin/bash
# Takes everything away that init.sh and init-registry.sh put on this host, and brings back what was there before.
#   cd <rootfs>/scripts && bash clean.sh
# Works on a host that was set up only half way, and again. k0s must be gone by then (`k0s stop`, `k0s reset`): where it still runs,
# this refuses. The rootfs itself stays: it is the installer's.
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
for unit in k0scontroller.service k0sworker.service; do
  if systemctl is-active -q "$unit"; then die "cleaning this host: $unit still runs; stop it, and run \"k0s reset\" first"; fi
done
stop_units
remove_network
remove_trees
remove_files
remove_dirs
restore_kernel
restore_units
forget
say "this host is as it was"

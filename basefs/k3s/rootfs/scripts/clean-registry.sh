#!/bin/bash
# Stops the cluster's registry on this host and takes away what init-registry.sh made. The images in <rootfs>/registry stay: they
# belong to the rootfs.
set -Eeuo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
RECORD=${SLIPWAY_HOST_STATE:-/var/lib/slipway/host}/registry
. lib/messages.sh
. lib/record.sh
. lib/kernel.sh
. lib/undo.sh
. lib/registry.sh

need_root
need_systemd
if [ ! -e "$RECORD" ]; then exit 0; fi
stop_units
remove_registry_container
remove_files
remove_dirs
restore_units
forget
say "the registry of this host is removed"

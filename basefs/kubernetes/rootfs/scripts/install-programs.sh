#!/bin/bash
# Installs some of the rootfs' programs in /usr/bin, recorded as init.sh does, and restarts nothing: for upgrades, where kubeadm
# comes first and kubelet later.
#   bash install-programs.sh kubeadm        bash install-programs.sh kubelet kubectl
set -Eeuo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
. lib/messages.sh
. lib/record.sh
. lib/kubelet.sh

ROOTFS=$(cd .. && pwd)
[ $# -gt 0 ] || die "usage: install-programs.sh NAME…"
need_root
for program; do [ -f "$ROOTFS/bin/$program" ] || die "installing $program: $ROOTFS/bin/$program is missing"; done
install_programs "$ROOTFS" "$@"
if [ ${#CHANGED[@]} = 0 ]; then say "nothing to do"; else say "installed ${CHANGED[*]}"; fi

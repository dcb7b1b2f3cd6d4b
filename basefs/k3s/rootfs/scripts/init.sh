#!/bin/bash
# Makes this host ready for k3s: kernel modules and settings, nerdctl for people. k3s itself, with its containerd and all that belongs to
# Kubernetes, is put in place by the installer (/usr/local/bin/k3s), which also takes it away again.
#   cd <rootfs>/scripts && bash init.sh [storage-dir] [registry-domain] [registry-port]
# The storage is k3s' own (/var/lib/rancher/k3s), and mirrors are written by the installer: the arguments are checked, and are there because
# sealer's images have them.
# May be run again at any time: what is there already is left alone. clean.sh undoes it.
set -Eeuo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
. lib/messages.sh
. lib/record.sh
. lib/kernel.sh

ROOTFS=$(cd .. && pwd)
DOMAIN=${2:-${RegistryDomain:-sea.hub}}
PORT=${3:-${RegistryPort:-5000}}

check_address "$PORT" "$DOMAIN"
need_root
need_systemd
[ -x "$ROOTFS/bin/k3s" ] || die "installing programs: $ROOTFS/bin/k3s is missing; the image was built without it (basefs/k3s/fetch.sh)"

check_programs
load_modules "$ROOTFS"
set_sysctls "$ROOTFS"
step "installing programs"
if [ -x "$ROOTFS/bin/nerdctl" ]; then put "$ROOTFS/bin/nerdctl" /usr/bin/nerdctl 755; fi
for tree in /etc/containerd/certs.d /var/lib/cni /usr/libexec/kubernetes /var/log/pods /var/log/containers; do claim_tree "$tree"; done
# the CA of the registry is put there
make_dir /etc/containerd/certs.d
put_text /etc/nerdctl/nerdctl.toml 644 'address = "unix:///run/k3s/containerd/containerd.sock"
namespace = "k8s.io"'
# kube-proxy mounts it, and kubelet makes it where there is none
expect_dir "$(realpath -m /lib/modules)"

if [ ${#CHANGED[@]} = 0 ]; then say "nothing to do: this host is ready"; else say "this host is ready (${#CHANGED[@]} files)"; fi

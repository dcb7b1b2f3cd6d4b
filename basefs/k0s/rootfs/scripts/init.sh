#!/bin/bash
# Makes this host ready for k0s: programs for people and launch commands, kernel settings. k0s itself, with its containerd and all that
# belongs to Kubernetes, is put in place by the installer (/usr/local/bin/k0s), which also takes it away again.
#   cd <rootfs>/scripts && bash init.sh [storage-dir] [registry-domain] [registry-port]
# The storage is k0s' own (/var/lib/k0s), and mirrors are written by the installer: the arguments are checked, and are there because
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
for program in k0s kubectl; do
  [ -x "$ROOTFS/bin/$program" ] || die "installing programs: $ROOTFS/bin/$program is missing; the image was built without it (basefs/k0s/fetch.sh)"
done

check_programs
load_modules "$ROOTFS"
set_sysctls "$ROOTFS"
step "installing programs"
for program in kubectl nerdctl; do
  if [ -x "$ROOTFS/bin/$program" ]; then put "$ROOTFS/bin/$program" "/usr/bin/$program" 755; fi
done
# k0s' network plugins and nerdctl's settings grow here
for tree in /etc/cni /opt/cni /var/lib/cni /etc/containerd/certs.d /opt/containerd /usr/libexec/k0s /usr/libexec/kubernetes /var/lib/kubelet \
  /var/log/pods /var/log/containers; do
  claim_tree "$tree"
done
make_dir /etc/containerd/certs.d
put_text /etc/nerdctl/nerdctl.toml 644 'address = "unix:///run/k0s/containerd.sock"
namespace = "k8s.io"
hosts_dir = ["/etc/containerd/certs.d"]'
# kube-proxy and kube-router mount it, and kubelet makes it where there is none
expect_dir "$(realpath -m /lib/modules)"

if [ ${#CHANGED[@]} = 0 ]; then say "nothing to do: this host is ready"; else say "this host is ready (${#CHANGED[@]} files)"; fi

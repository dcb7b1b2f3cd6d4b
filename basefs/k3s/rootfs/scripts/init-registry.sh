#!/bin/bash
# Starts the cluster's registry on this host: Docker distribution from the rootfs (the program bin/registry, or the container image
# images/registry.tar[.gz]) as the systemd unit slipway-registry.service.
#   cd <rootfs>/scripts && bash init-registry.sh [port] [storage-dir] [domain]
# Defaults: 5000, <rootfs>/registry, sea.hub (or RegistryPort, RegistryDomain of the environment).
# <rootfs>/etc/registry.yml is its configuration; the arguments win over it. Further, each from the environment or, when that is not set,
# from the rootfs if the file is there:
#   certificate  RegistryCertFile      <rootfs>/certs/<domain>.crt
#   its key      RegistryKeyFile       <rootfs>/certs/<domain>.key
#   passwords    RegistryHtpasswdFile  <rootfs>/certs/registry_htpasswd or <rootfs>/etc/registry_htpasswd (bcrypt)
# Without a certificate the registry speaks plain http. May be run again: it restarts only when something changed.
set -Eeuo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
RECORD=${SLIPWAY_HOST_STATE:-/var/lib/slipway/host}/registry
. lib/messages.sh
. lib/record.sh
. lib/containerd.sh
. lib/registry.sh

ROOTFS=$(cd .. && pwd)
PORT=${1:-${RegistryPort:-5000}}
STORAGE=${2:-$ROOTFS/registry}
DOMAIN=${3:-${RegistryDomain:-sea.hub}}

check_address "$PORT" "$DOMAIN"
[[ $STORAGE =~ ^/[^[:space:]\"\\%]+$ ]] || die "reading arguments: storage-dir \"$STORAGE\" is not an absolute path without blanks, quotes and percent signs"
need_root
need_systemd
start_registry "$ROOTFS" "$PORT" "$STORAGE" "$DOMAIN"

#!/bin/bash
# What a person types to make a cluster of a base image without Slipway: copies the rootfs, runs the image's own scripts, kubeadm on every
# host. As fast as it can be typed: all hosts at once wherever that is possible, and one connection a host that stays.
#   by-hand.sh ROOTFS_TREE KEY MASTER NODE …
set -euo pipefail
TREE=$1 KEY=$2 MASTER=$3
shift 2
HOSTS=("$@")
ROOTFS=/var/lib/slipway/data/hand/rootfs
DIR=$(mktemp -d)
end() {
  local host
  for host in "${HOSTS[@]}"; do "${SSH[@]}" -O exit "$host" 2>/dev/null || true; done
  rm -rf "$DIR"
}
trap end EXIT
SSH=(ssh -i "$KEY" -l root -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR
  -o ControlMaster=auto -o "ControlPath=$DIR/%h" -o ControlPersist=yes)

on() { "${SSH[@]}" "$@"; }
# everywhere COMMAND: on all hosts at once, ends when all have
everywhere() {
  local pids=() pid
  for host in "${HOSTS[@]}"; do
    "$1" "$host" >"$DIR/$1-$host.log" 2>&1 &
    pids+=($!)
  done
  for pid in "${pids[@]}"; do wait "$pid" || { cat "$DIR"/"$1"-*.log >&2; exit 1; }; done
}
# the images go to the host that serves them, and to no other
send() {
  local without=(--exclude=./registry)
  [ "$1" = "$MASTER" ] && without=()
  tar -C "$TREE" "${without[@]}" -cf - . | on "$1" "mkdir -p $ROOTFS && tar -C $ROOTFS -xf -"
}
set_up() { on "$1" "cd $ROOTFS/scripts && bash init.sh /var/lib/containerd sea.hub 5000"; }
trust() {
  on "$1" "mkdir -p /etc/slipway && cat >/etc/slipway/ca.crt" <"$DIR/ca.crt"
  on "$1" bash -s <<END
echo '$MASTER sea.hub apiserver.cluster.local' >>/etc/hosts
for registry in k8s.gcr.io docker.io; do
  mkdir -p /etc/containerd/certs.d/\$registry
  printf 'server = "https://%s"\n[host."https://sea.hub:5000"]\n  capabilities = ["pull", "resolve"]\n  ca = "/etc/slipway/ca.crt"\n' \$registry >/etc/containerd/certs.d/\$registry/hosts.toml
done
END
}
join() { [ "$1" = "$MASTER" ] || on "$1" "$JOIN --cri-socket /run/containerd/containerd.sock"; }

everywhere send
everywhere set_up
key=(-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes)
(
  cd "$DIR"
  openssl req -x509 "${key[@]}" -keyout ca.key -out ca.crt -days 2 -subj /CN=ca
  openssl req "${key[@]}" -keyout sea.hub.key -out request -subj /CN=sea.hub
  echo subjectAltName=DNS:sea.hub >extensions
  openssl x509 -req -in request -CA ca.crt -CAkey ca.key -CAcreateserial -days 2 -out sea.hub.crt -extfile extensions
) 2>/dev/null
tar -C "$DIR" -cf - sea.hub.crt sea.hub.key | on "$MASTER" "mkdir -p $ROOTFS/certs && tar -C $ROOTFS/certs -xf -"
everywhere trust
on "$MASTER" "cd $ROOTFS/scripts && bash init-registry.sh 5000 $ROOTFS/registry sea.hub" >/dev/null
on "$MASTER" 'mkdir -p /etc/kubernetes && cat >/etc/kubernetes/kubeadm.yaml' <<END
apiVersion: kubeadm.k8s.io/v1beta2
kind: InitConfiguration
localAPIEndpoint: {advertiseAddress: $MASTER}
nodeRegistration: {criSocket: /run/containerd/containerd.sock}
---
apiVersion: kubeadm.k8s.io/v1beta2
kind: ClusterConfiguration
kubernetesVersion: v1.20.2
controlPlaneEndpoint: apiserver.cluster.local:6443
imageRepository: k8s.gcr.io
networking: {podSubnet: 100.64.0.0/10, serviceSubnet: 10.96.0.0/22}
---
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
cgroupDriver: $(on "$MASTER" cat /etc/slipway/cgroup-driver)
---
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
# nf_conntrack_max belongs to the machine, not to a lab host
conntrack: {maxPerCore: 0}
END
on "$MASTER" 'kubeadm init --config /etc/kubernetes/kubeadm.yaml' >"$DIR/init.log" 2>&1 || { cat "$DIR/init.log" >&2; exit 1; }
JOIN=$(on "$MASTER" 'kubeadm token create --print-join-command 2>/dev/null')
everywhere join
on "$MASTER" "export KUBECONFIG=/etc/kubernetes/admin.conf; cd $ROOTFS/scripts && bash apply-cni.sh && kubectl wait --for=condition=Ready node --all --timeout=180s" >/dev/null
on "$MASTER" cat /etc/kubernetes/admin.conf >"$DIR/admin.conf"

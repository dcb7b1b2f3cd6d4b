import { dirname } from 'node:path/posix';
import { API_SERVER_NAME } from '../etc-hosts.js';
import { KILL_PODS, OURS } from '../kubernetes/pod-processes.js';
import { HOSTS_BLOCK } from './balancer.js';
import { BALANCER } from './balancer-script.js';
import { PATHS } from './paths.js';

/** Network interfaces that pod networks make and leave. */
const INTERFACES = [
  'cni0',
  'flannel.1',
  'flannel-v6.1',
  'kube-ipvs0',
  'nodelocaldns',
  'vxlan.calico',
  'cilium_vxlan',
  'cilium_host',
];

/** What network add-ons write on hosts. Other files of /etc/cni/net.d may be somebody else's (podman's). */
const NETWORK_FILES = [
  '10-calico.conflist',
  'calico-kubeconfig',
  '10-flannel.conflist',
  '05-cilium.conflist',
  '10-weave.conflist',
];

/** Prints what is still there of a cluster, one thing a line; nothing when the host is clean. */
export const LEFTOVERS_SCRIPT = `for d in /etc/kubernetes /var/lib/etcd /var/lib/kubelet; do
  [ -e "$d" ] && [ -n "$(ls -A "$d" 2>/dev/null)" ] && echo "$d"
done
systemctl is-active -q kubelet.service && echo 'kubelet.service runs'
for i in ${INTERFACES.join(' ')}; do [ -e "/sys/class/net/$i" ] && echo "network interface $i"; done
for t in iptables ip6tables; do
  command -v $t-save >/dev/null 2>&1 && $t-save 2>/dev/null | grep -qE -- '(KUBE-|CNI-|FLANNEL-|cali-)' && echo "$t rules of Kubernetes"
done
[ -e ${PATHS.rootKubeconfig} ] && grep -q 'server: https://${API_SERVER_NAME}:' ${PATHS.rootKubeconfig} && echo ${PATHS.rootKubeconfig}
grep -q '^# BEGIN slipway ${HOSTS_BLOCK}$' /etc/hosts && echo '/etc/hosts: ${API_SERVER_NAME}'
for f in ${BALANCER.unit} ${BALANCER.script} ${BALANCER.config}; do [ -e "$f" ] && echo "$f"; done
command -v iptables-save >/dev/null 2>&1 && iptables-save -t nat 2>/dev/null | grep -q '${BALANCER.chain}' && echo 'iptables rules for ${API_SERVER_NAME}'
true
`;

/**
 * Takes away what \`kubeadm reset\` leaves. Each part is tried whatever became of the one before, so that a host in any state becomes
 * as clean as it can be; {@link LEFTOVERS_SCRIPT} says what is left.
 */
export const REMOVE_REMAINS_SCRIPT = `set +e
systemctl stop kubelet.service 2>/dev/null
systemctl disable -q kubelet.service 2>/dev/null

# Processes of pods are known by their cgroup. Their shims go first, lest they start or wait for anything.
${OURS}
for p in /proc/[0-9]*; do
  case $(tr '\\0' ' ' <"$p/cmdline" 2>/dev/null) in
    *containerd-shim*'-namespace k8s.io '*) ours "\${p#/proc/}" && kill -9 "\${p#/proc/}" 2>/dev/null ;;
  esac
done
${KILL_PODS}

# mountinfo writes a blank as \\040; the deepest mounts first
awk '$5 ~ "^/var/lib/kubelet(/|$)" { print $5 }' /proc/self/mountinfo | sort -r | while read -r m; do
  m=$(printf '%b' "$m")
  umount "$m" 2>/dev/null || umount -l "$m"
done

for n in /run/netns/cni-*; do
  [ -e "$n" ] && { umount "$n" 2>/dev/null; rm -f "$n"; }
done
for i in $(ip -o link show master cni0 2>/dev/null | awk -F': ' '{ sub(/@.*/, "", $2); print $2 }') \\
  $(ip -o link show type veth 2>/dev/null | awk -F': ' '{ sub(/@.*/, "", $2); if ($2 ~ /^cali/) print $2 }'); do
  ip link delete "$i"
done
[ -e /sys/class/net/kube-ipvs0 ] && command -v ipvsadm >/dev/null 2>&1 && ipvsadm --clear
for i in ${INTERFACES.join(' ')}; do
  [ -e "/sys/class/net/$i" ] && ip link delete "$i"
done
for t in iptables ip6tables; do
  command -v $t-save >/dev/null 2>&1 || continue
  if $t-save 2>/dev/null | grep -qE -- '(KUBE-|CNI-|FLANNEL-|cali-)'; then
    $t-save 2>/dev/null | grep -vE -- '(KUBE-|CNI-|FLANNEL-|cali-)' | $t-restore
  fi
done

rm -rf --one-file-system /etc/kubernetes /var/lib/etcd /var/lib/kubelet /var/lib/cni /var/run/kubernetes /run/flannel
for f in ${NETWORK_FILES.join(' ')}; do rm -f "/etc/cni/net.d/$f"; done
rm -f ${PATHS.joinConfig} ${PATHS.discovery} ${PATHS.uploadCertsConfig}
rmdir /run/slipway 2>/dev/null
if [ -e ${BALANCER.unit} ]; then
  systemctl disable -q --now ${BALANCER.service} 2>/dev/null
  rm -f ${BALANCER.unit}
  systemctl daemon-reload
fi
[ ! -x ${BALANCER.script} ] || ${BALANCER.script} stop
rm -f ${BALANCER.script} ${BALANCER.config}
rmdir ${dirname(BALANCER.script)} ${dirname(BALANCER.config)} 2>/dev/null
if [ -e ${PATHS.rootKubeconfig} ] && grep -q 'server: https://${API_SERVER_NAME}:' ${PATHS.rootKubeconfig}; then
  # the file last: it says that the rest is ours, also to the next command when this one is killed
  rm -rf "$(dirname ${PATHS.rootKubeconfig})/cache"
  rm -f ${PATHS.rootKubeconfig}
  rmdir "$(dirname ${PATHS.rootKubeconfig})" 2>/dev/null
fi
true
`;

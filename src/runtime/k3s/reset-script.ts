import { dirname } from 'node:path/posix';
import { KILL_PODS, OURS } from '../kubernetes/pod-processes.js';
import { PATHS, UNITS, unitFile } from './paths.js';

/** Network interfaces that k3s' networks make and leave. */
const INTERFACES = ['cni0', 'flannel.1', 'flannel-v6.1', 'flannel-wg', 'flannel-wg-v6', 'kube-ipvs0', 'nodelocaldns'];

/** Rules of iptables that are of Kubernetes and its networks. */
const RULES = '(KUBE-|CNI-|[Ff][Ll][Aa][Nn][Nn][Ee][Ll])';

const SERVICES = [UNITS.server, UNITS.agent];

/** What k3s, its install script, and this driver put on a host. */
const FILES = [
  unitFile('server'),
  unitFile('agent'),
  `${unitFile('server')}.env`,
  `${unitFile('agent')}.env`,
  PATHS.binary,
  `${PATHS.binary}-killall.sh`,
  `${PATHS.binary}-uninstall.sh`,
  `${PATHS.binary}-agent-uninstall.sh`,
];
const TREES = [
  '/etc/rancher/k3s',
  '/etc/rancher/node',
  PATHS.data,
  '/var/lib/kubelet',
  '/var/lib/cni',
  '/run/k3s',
  '/run/flannel',
];

/** What kubectl keeps at root's of a server at this address: of clusters that are k3s' and on this host alone. */
const KUBECTL_CACHE = '/root/.kube/cache/discovery/127.0.0.1_6443';

/** Prints what is still there of k3s, one thing a line; nothing when the host is clean. */
export const LEFTOVERS_SCRIPT = `for f in ${FILES.join(' ')}; do [ -e "$f" ] && echo "$f"; done
for l in ${PATHS.links.join(' ')}; do [ -L "$l" ] && [ "$(readlink "$l")" = k3s ] && echo "$l"; done
for d in ${TREES.join(' ')}; do
  [ -e "$d" ] && [ -n "$(ls -A "$d" 2>/dev/null)" ] && echo "$d"
done
[ -e ${KUBECTL_CACHE} ] && echo ${KUBECTL_CACHE}
for u in ${SERVICES.join(' ')}; do systemctl is-active -q "$u" && echo "$u runs"; done
for i in ${INTERFACES.join(' ')}; do [ -e "/sys/class/net/$i" ] && echo "network interface $i"; done
for t in iptables ip6tables; do
  command -v $t-save >/dev/null 2>&1 && $t-save 2>/dev/null | grep -qE -- '${RULES}' && echo "$t rules of Kubernetes"
done
true
`;

/**
 * Takes k3s off a host, as its own uninstall script does, in any state and again. Each part is tried whatever became of the one before;
 * {@link LEFTOVERS_SCRIPT} says what is left. Links of other programs stay, and so does what somebody else mounted.
 * Source: k3s, install.sh (killall and uninstall).
 */
export const RESET_SCRIPT = `set +e
for u in ${SERVICES.join(' ')}; do
  systemctl disable -q "$u" 2>/dev/null
  systemctl stop "$u" 2>/dev/null
  systemctl reset-failed "$u" 2>/dev/null
done

# Stopped, k3s leaves containers running: their shims, known by the directory of k3s' programs, and all below them.
descendants() {
  for c in $(ps -e -o ppid= -o pid= | awk -v p="$1" '$1 == p { print $2 }'); do
    echo "$c"
    descendants "$c"
  done
}
shims=$(ps -e -o pid= -o args= | awk '$2 ~ "^${PATHS.data}/data/[^/]*/bin/containerd-shim" { print $1 }')
${OURS}
for s in $shims; do
  ours "$s" || continue
  for p in "$s" $(descendants "$s"); do kill -9 "$p" 2>/dev/null; done
done
${KILL_PODS}

# mountinfo writes a blank as \\040; the deepest mounts first. A disk that is mounted as a directory of k3s itself stays, and is emptied; what a
# link leads to is mounted under its own name.
data=$(readlink -m ${PATHS.data}) kubelet=$(readlink -m /var/lib/kubelet)
awk -v data="$data/" -v kubelet="$kubelet/" '
  index($5, data) == 1 || index($5, kubelet) == 1 || $5 ~ "^/run/(k3s(/|$)|netns/cni-)" { print $5 }' /proc/self/mountinfo | sort -r | while read -r m; do
  m=$(printf '%b' "$m")
  umount "$m" 2>/dev/null || umount -l "$m"
done
for n in /run/netns/cni-*; do [ -e "$n" ] && rm -f "$n"; done

for i in $(ip -o link show master cni0 2>/dev/null | awk -F': ' '{ sub(/@.*/, "", $2); print $2 }'); do ip link delete "$i"; done
for i in ${INTERFACES.join(' ')}; do
  [ -e "/sys/class/net/$i" ] && ip link delete "$i"
done
for t in iptables ip6tables; do
  command -v $t-save >/dev/null 2>&1 || continue
  if $t-save 2>/dev/null | grep -qE -- '${RULES}'; then
    $t-save 2>/dev/null | grep -vE -- '${RULES}' | $t-restore
  fi
done

for d in ${TREES.join(' ')}; do
  # The link is somebody's; what is behind it is k3s'.
  if [ -L "$d" ]; then rm -rf --one-file-system "\${d:?}"/* "\${d:?}"/.[!.]*; else rm -rf --one-file-system "$d"; fi
done
rmdir ${dirname(PATHS.data)} /etc/rancher 2>/dev/null
for l in ${PATHS.links.join(' ')}; do [ -L "$l" ] && [ "$(readlink "$l")" = k3s ] && rm -f "$l"; done
rm -rf ${KUBECTL_CACHE} /root/.kube/cache/http
rmdir /root/.kube/cache/discovery /root/.kube/cache /root/.kube 2>/dev/null
rm -f ${FILES.join(' ')} ${PATHS.binary}.slipway-new
for u in ${SERVICES.join(' ')}; do rm -f "/etc/systemd/system/multi-user.target.wants/$u"; done
systemctl daemon-reload
true
`;

import { KILL_PODS, OURS } from '../kubernetes/pod-processes.js';
import { PATHS, UNITS, unitFile } from './paths.js';

/** Network interfaces that pod networks make and leave: kube-router, Calico, and k0s' own balancers. */
const INTERFACES = ['kube-bridge', 'kube-dummy-if', 'kube-ipvs0', 'dummyvip0', 'cni0', 'flannel.1', 'vxlan.calico'];

/** What network add-ons write on hosts. Other files of /etc/cni/net.d may be somebody else's (podman's). */
const NETWORK_FILES = ['10-kuberouter.conflist', '10-calico.conflist', 'calico-kubeconfig', '10-flannel.conflist'];

/** Rules of Kubernetes, of its networks and of kube-router, by the names of their chains. */
const RULES = '(KUBE-|CNI-|FLANNEL-|cali-)';

/** Users that `k0s install controller` makes, with its data directory as their home; and the one of sealer's list. */
const USERS = ['etcd', 'kine', 'konnectivity-server', 'kube-apiserver', 'kube-scheduler', 'k0s'];

/** Services of k0s: its own, and the one of sealer's list. */
const SERVICES = [UNITS.controller, UNITS.worker, 'k0s.service'];
const SERVICE_FILES = [unitFile('controller'), unitFile('worker'), '/etc/systemd/system/k0s.service'];

/** Everything of k0s that is a file; the last is where sealer's scripts put it. */
const FILES = [PATHS.binary, `${PATHS.binary}.slipway-new`, '/etc/k0s', PATHS.data, '/run/k0s', '/usr/local/k0s'];

/** Prints names of users that are k0s': others of the same name have another home. */
const OWN_USERS = `for u in ${USERS.join(' ')}; do
  case $(getent passwd "$u" 2>/dev/null | cut -d: -f6) in ${PATHS.data} | /usr/local/k0s | /home/k0s) echo "$u" ;; esac
done`;

/** Prints what is still there of k0s, one thing a line; nothing when the host is clean. */
export const LEFTOVERS_SCRIPT = `for f in ${[...FILES, ...SERVICE_FILES].join(' ')}; do [ ! -e "$f" ] || echo "$f"; done
for s in ${SERVICES.join(' ')}; do
  case $(systemctl is-active "$s" 2>/dev/null) in active | activating | deactivating) echo "$s runs" ;; esac
done
for i in ${INTERFACES.join(' ')}; do [ ! -e "/sys/class/net/$i" ] || echo "network interface $i"; done
for t in iptables ip6tables; do
  command -v $t-save >/dev/null 2>&1 && $t-save 2>/dev/null | grep -qE -- '${RULES}' && echo "$t rules of Kubernetes"
done
(${OWN_USERS}) | sed 's/^/user /'
[ ! -e ${PATHS.rootKubeconfig} ] || ! grep -q 'slipway-k0s' ${PATHS.rootKubeconfig} || echo ${PATHS.rootKubeconfig}
true
`;

/** Lets k0s itself clean the host, where there is one and something to clean. What it cannot is no failure: the rest is removed without it. */
export const K0S_RESET_SCRIPT = `set +e
for s in ${SERVICES.join(' ')}; do
  case $(systemctl is-active "$s" 2>/dev/null) in active | activating | deactivating | reloading) systemctl stop "$s" ;; esac
done
if [ -x ${PATHS.binary} ] && [ -e ${PATHS.data} ]; then timeout 240 ${PATHS.binary} reset; fi
true
`;

/**
 * Takes away what \`k0s reset\` leaves, or all of it where there is no k0s (any more). Each part is tried whatever became of the one
 * before, so that a host in any state becomes as clean as it can be; {@link LEFTOVERS_SCRIPT} says what is left.
 */
export const REMOVE_REMAINS_SCRIPT = `set +e
for s in ${SERVICES.join(' ')}; do
  systemctl stop "$s" 2>/dev/null
  systemctl disable -q "$s" 2>/dev/null
done

# What k0s started outlives it (KillMode=process): known by where its programs are, and shims by its socket. Shims first, lest they
# start or wait for anything.
${OURS}
cmdline() { tr '\\0' ' ' <"$1/cmdline" 2>/dev/null; }
for p in /proc/[0-9]*; do
  case $(cmdline "$p") in *containerd-shim*' -address /run/k0s/'*) ours "\${p#/proc/}" && kill -9 "\${p#/proc/}" 2>/dev/null ;; esac
done
for p in /proc/[0-9]*; do
  case $(cmdline "$p") in ${PATHS.data}/bin/*) ours "\${p#/proc/}" && kill -9 "\${p#/proc/}" 2>/dev/null ;; esac
done
${KILL_PODS}

# mountinfo writes a blank as \\040; the deepest mounts first. A disk that is mounted as the data directory itself stays;
# what a link leads to is mounted under its own name.
data=$(readlink -m ${PATHS.data})
awk -v data="$data/" 'index($5, data) == 1 || $5 ~ "^/(run/k0s(/|$)|var/lib/kubelet/)" { print $5 }' /proc/self/mountinfo | sort -r | while read -r m; do
  m=$(printf '%b' "$m")
  umount "$m" 2>/dev/null || umount -l "$m"
done
for n in /run/netns/cni-*; do
  [ -e "$n" ] && { umount "$n" 2>/dev/null; rm -f "$n"; }
done

for b in kube-bridge cni0; do
  for i in $(ip -o link show master "$b" 2>/dev/null | awk -F': ' '{ sub(/@.*/, "", $2); print $2 }'); do ip link delete "$i"; done
done
for i in $(ip -o link show type veth 2>/dev/null | awk -F': ' '{ sub(/@.*/, "", $2); if ($2 ~ /^cali/) print $2 }'); do ip link delete "$i"; done
[ -e /sys/class/net/kube-ipvs0 ] && command -v ipvsadm >/dev/null 2>&1 && ipvsadm --clear
for i in ${INTERFACES.join(' ')}; do
  [ -e "/sys/class/net/$i" ] && ip link delete "$i"
done
for t in iptables ip6tables; do
  command -v $t-save >/dev/null 2>&1 || continue
  if $t-save 2>/dev/null | grep -qE -- '${RULES}'; then
    $t-save 2>/dev/null | grep -vE -- '${RULES}' | $t-restore
  fi
done

rm -f ${SERVICE_FILES.join(' ')}
rm -rf ${[UNITS.controller, UNITS.worker, 'k0s.service'].map((unit) => `/etc/systemd/system/${unit}.d`).join(' ')}
systemctl daemon-reload
for s in ${SERVICES.join(' ')}; do systemctl reset-failed "$s" 2>/dev/null; done

(${OWN_USERS}) | while read -r name; do
  userdel "$name" 2>/dev/null
  getent group "$name" >/dev/null && groupdel "$name" 2>/dev/null
done
rm -rf --one-file-system ${PATHS.data}/* ${PATHS.data}/.[!.]* 2>/dev/null
rm -rf --one-file-system ${FILES.join(' ')} /var/lib/cni
# where kubelet has it whatever its own directory is
rm -rf --one-file-system /var/lib/kubelet/device-plugins
rmdir /var/lib/kubelet 2>/dev/null
for f in ${NETWORK_FILES.join(' ')}; do rm -f "/etc/cni/net.d/$f"; done
rm -f ${PATHS.newToken} /run/slipway/k0s-kubeconfig
rmdir /run/slipway 2>/dev/null
true
`;

import { X509Certificate } from 'node:crypto';
import { SlipwayError } from '../../base/errors.js';
import type { Host } from '../../hosts/host.js';
import type { ClusterContext, DriverStep } from '../driver.js';
import { onHost } from '../kubernetes/ask.js';
import { entryMaster } from '../kubernetes/masters.js';
import { waitFor } from '../wait.js';
import { listCertificates } from './certificates.js';
import { certificatesConfig } from './config.js';
import { kubeadmFacts } from './facts.js';
import { kubeletLog } from './health.js';
import { PATHS } from './paths.js';
import { bootstrapKubeconfig, withJoinToken } from './tokens.js';

const TIMEOUT_MS = 180_000;
/** Where kubelet keeps its certificates, and which of them it uses. */
const KUBELET_PKI = '/var/lib/kubelet/pki';
const CURRENT = `${KUBELET_PKI}/kubelet-client-current.pem`;

/**
 * Gives a kubelet a new identity whose own has ended: it renews it by itself only while it is good, so that a host which was off for too long
 * comes up without. On a master the CA is at hand, and no API server needed, which this kubelet is to start; another host asks
 * the cluster again, with a token, as when it joined. Done while the identity is good.
 */
export function reviveKubeletStep(host: Host, cluster: ClusterContext): DriverStep {
  return {
    title: 'give kubelet a new certificate',
    done: async () => !(await hasEnded(host)),
    async run(_note, signal) {
      const master = cluster.masters.some(({ address }) => address === host.address);
      if (master) await signIdentity(host, cluster, signal);
      else await askForIdentity(host, cluster, signal);
    },
  };
}

async function hasEnded(host: Host): Promise<boolean> {
  const kubelet = (await listCertificates(host)).filter(({ name }) => name === 'kubelet');
  return kubelet.length > 0 && kubelet.every(({ expires = '' }) => !(Date.parse(expires) > Date.now()));
}

/** `kubeadm init phase kubeconfig kubelet` makes a kubeconfig beside; what is in it takes the place of what has ended. */
async function signIdentity(master: Host, cluster: ClusterContext, signal?: AbortSignal): Promise<void> {
  const node = await nodeName(master);
  const { file } = certificatesConfig(kubeadmFacts(cluster), master.address);
  const time = new Date().toISOString().replace(/[:.]/g, '-');
  const made = `${KUBELET_PKI}/kubelet-client-${time}.pem`;
  await onHost(
    master,
    cluster.rootfs,
    `set -e
umask 077
work=$(mktemp -d /run/slipway-kubelet.XXXXXX)
trap 'rm -rf "$work"' EXIT
trap 'exit 143' TERM HUP INT
cat >"$work/kubeadm.yaml"
kubeadm init phase kubeconfig kubelet --config="$work/kubeadm.yaml" --node-name=${node} --kubeconfig-dir="$work"
if grep -q client-certificate-data: ${PATHS.kubelet}; then
  cp "$work/kubelet.conf" ${PATHS.kubelet}.slipway-new
  mv -f ${PATHS.kubelet}.slipway-new ${PATHS.kubelet}
else
  for part in certificate key; do sed -n "s/^ *client-$part-data: *//p" "$work/kubelet.conf" | base64 -d; done >${made}
  [ "$(grep -c '^-----BEGIN' ${made})" -ge 2 ]
  ln -sfn ${made} ${CURRENT}.slipway-new
  mv -fT ${CURRENT}.slipway-new ${CURRENT}
fi
systemctl reset-failed kubelet.service 2>/dev/null || true
systemctl restart kubelet.service`,
    { stdin: file, signal, timeoutMs: 120_000, title: 'kubeadm init phase kubeconfig kubelet' },
  );
}

/** kubelet asks by itself when it finds a kubeconfig with a token, and none of its own that is good. */
async function askForIdentity(host: Host, cluster: ClusterContext, signal?: AbortSignal): Promise<void> {
  const entry = entryMaster(cluster);
  const ca = await host.readFile(PATHS.caCertificate);
  if (ca === undefined) {
    throw new SlipwayError('E_CLUSTER_STATE', `${host.address}: ${PATHS.caCertificate} is missing`, {
      hint: `take the host out and join it again: slipway delete --nodes ${host.address}`,
    });
  }
  const [, server] =
    /^ *server: *"?(https:\/\/[^"\s]+)/m.exec((await host.readFile(PATHS.kubelet))?.toString('utf8') ?? '') ?? [];
  if (server === undefined) {
    throw new SlipwayError(
      'E_CLUSTER_STATE',
      `${host.address}: ${PATHS.kubelet} does not say where the API servers are`,
    );
  }
  await withJoinToken(entry, cluster.rootfs, { signal }, async (token) => {
    const kubeconfig = bootstrapKubeconfig(server, ca, token);
    try {
      await host.writeFile(PATHS.bootstrapKubelet, kubeconfig, { mode: 0o600 });
      await onHost(host, cluster.rootfs, 'systemctl reset-failed kubelet.service; systemctl restart kubelet.service', {
        signal,
        timeoutMs: 60_000,
        allowFailure: true,
        title: 'restarting kubelet',
      });
      await waitFor(async () => ((await hasEnded(host)) ? undefined : true), {
        what: `kubelet on ${host.address} to get a certificate`,
        timeoutMs: TIMEOUT_MS,
        intervalMs: 2000,
        signal,
        explain: () => kubeletLog(host),
        hint: `"journalctl -u kubelet" on ${host.address} says more; or take it out with "slipway delete" and join it again`,
      });
    } finally {
      await host
        .run(`rm -f ${PATHS.bootstrapKubelet}`, { allowFailure: true, timeoutMs: 30_000 })
        .catch(() => undefined);
    }
  });
}

/** How the cluster calls the node of a host, by the certificate that has ended. */
async function nodeName(master: Host): Promise<string> {
  const { stdout } = await master.run(
    `[ ! -f ${CURRENT} ] || cat ${CURRENT} | sed -n '/BEGIN CERTIFICATE/,/END CERTIFICATE/p'
sed -n 's/^ *client-certificate-data: *//p' ${PATHS.kubelet} | base64 -d`,
    { title: 'reading the certificate of kubelet', timeoutMs: 30_000 },
  );
  const [pem] = stdout.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/) ?? [];
  const [, name] =
    pem === undefined ? [] : (/^CN=system:node:([a-z0-9.-]+)$/m.exec(new X509Certificate(pem).subject) ?? []);
  if (name !== undefined) return name;
  throw new SlipwayError('E_CLUSTER_STATE', `${master.address}: the certificate of kubelet does not name its node`);
}

import { SlipwayError } from '../../base/errors.js';
import type { Host } from '../../hosts/host.js';
import type { ClusterContext, DriverStep } from '../driver.js';
import { fileDigests, unchanged } from '../kubernetes/certificates.js';
import { entryMaster } from '../kubernetes/masters.js';
import { nodeOf } from '../kubernetes/nodes.js';
import { listCertificates } from './certificates.js';
import { listNodes } from './cluster.js';
import { onHost } from './commands.js';
import { startK3s, waitForK3s } from './health.js';
import { PATHS, UNITS } from './paths.js';
import { waitUntilBack } from './restart.js';
import { k3sAbilities } from './versions.js';

/** Without new ones of these nothing is renewed; others may lie there of which k3s makes no use any more. */
const NEEDED = [`${PATHS.tls}/serving-kube-apiserver.crt`, `${PATHS.tls}/client-admin.crt`];

/** k3s' own limit: what ends within it is made anew at a start. Source: k3s-io/docs, cli/certificate.md (120 days since May 2025). */
const SOON_MS = 90 * 24 * 60 * 60 * 1000;
const AGENT_TIMEOUT_MS = 5 * 60_000;

/**
 * Renews what k3s makes on a master: `k3s certificate rotate`, while k3s is stopped, takes all certificates away but those of CAs (and keeps
 * them in `server/tls-TIME`), and k3s makes them anew when it starts. Pods go on meanwhile.
 * Source: k3s, pkg/cli/cert/cert.go; k3s-io/docs, cli/certificate.md.
 */
export function renewStep(master: Host, { version }: ClusterContext): DriverStep {
  return {
    title: 'renew the certificates',
    done: async () => false,
    async run(note, signal) {
      if (!k3sAbilities(version).certificateRotate) {
        throw new SlipwayError('E_UNSUPPORTED', `${master.address}: k3s ${version} has no "k3s certificate rotate"`, {
          hint: `"systemctl restart ${UNITS.server}" renews what ends within 90 days; v1.20.14, v1.21.8, v1.22.5 and later can renew all`,
        });
      }
      const files = (await listCertificates(master)).flatMap(({ file, renewed }) =>
        renewed === 'command' ? [file] : [],
      );
      // A rotation that was cut off has taken them away: the start makes them anew.
      const rotated = files.length === 0 && (await master.exists(PATHS.serverCa));
      if (files.length === 0 && !rotated) {
        throw new SlipwayError('E_CLUSTER_STATE', `${master.address}: there are no certificates in ${PATHS.tls}`);
      }
      const before = await fileDigests(master, files);
      if (!rotated) await rotate(master, signal);
      await startK3s(master, 'server', 'start', signal);
      await waitUntilBack(master, signal);
      const old = unchanged(before, await fileDigests(master, files));
      if (old.some((file) => NEEDED.includes(file))) {
        throw new SlipwayError(
          'E_CLUSTER_STATE',
          `${master.address}: "k3s certificate rotate" did not renew ${old.join(', ')}`,
        );
      }
      if (old.length > 0) note(`not renewed by k3s: ${old.join(', ')}`);
    },
  };
}

/** Leaves k3s started, or about to start, whatever becomes of it: a master that stays down is worse than an old certificate. */
async function rotate(master: Host, signal: AbortSignal | undefined): Promise<void> {
  await onHost(
    master,
    `trap 'systemctl start --no-block ${UNITS.server}' EXIT
trap 'exit 143' TERM HUP INT
systemctl stop ${UNITS.server} || exit 1
${PATHS.binary} certificate rotate`,
    { signal, timeoutMs: 5 * 60_000, title: 'k3s certificate rotate' },
  );
}

/**
 * Lets an agent fetch its certificates anew, which it does whenever it starts, by its token: where they have ended, or would be renewed by
 * k3s itself at a start. A server does so for its own agent.
 * Source: k3s, pkg/agent/config/config.go.
 */
export function reviveAgentStep(host: Host, cluster: ClusterContext): DriverStep {
  const worker = !cluster.masters.some(({ address }) => address === host.address);
  const endsSoon = async (): Promise<boolean> =>
    (await listCertificates(host)).some(
      ({ renewed, expires = '' }) => renewed === 'self' && !(Date.parse(expires) > Date.now() + SOON_MS),
    );
  return {
    title: 'let the agent fetch its certificates anew',
    done: async () => !(worker && (await endsSoon())),
    async run(_note, signal) {
      await startK3s(host, 'agent', 'restart', signal);
      const entry = entryMaster(cluster);
      await waitForK3s(
        host,
        'agent',
        async () => !(await endsSoon()) && nodeOf(await listNodes(entry), host)?.ready === true,
        { what: `the agent of ${host.address} to have new certificates`, timeoutMs: AGENT_TIMEOUT_MS, signal },
      );
    },
  };
}

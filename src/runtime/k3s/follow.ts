import type { Host } from '../../hosts/host.js';
import type { ClusterContext, DriverStep } from '../driver.js';
import { nodeOf } from '../kubernetes/nodes.js';
import { unitProperty } from '../kubernetes/restarts.js';
import { listNodes } from './cluster.js';
import { type Membership, membershipOf, serverUrl } from './config.js';
import { wantedConfig } from './files.js';
import { apiServerReady, startK3s, waitForK3s } from './health.js';
import { type K3sRole, PATHS, UNITS } from './paths.js';

const RESTART_TIMEOUT_MS = 5 * 60_000;

/**
 * Keeps the settings of a host what is wanted, and lets k3s run with them.
 *
 * Nothing has to be done for agents to find the API servers of all masters: each has a balancer of its own, which asks the cluster for
 * them and keeps the answer (`agent/etc/k3s-agent-load-balancer.json`). Only the master that its file names, and that it asks when it has
 * no such answer, must be one that is there. Source: k3s, pkg/agent/loadbalancer, pkg/agent/tunnel.
 */
export function followStep(host: Host, cluster: ClusterContext): DriverStep {
  const role: K3sRole = cluster.masters.some(({ address }) => address === host.address) ? 'server' : 'agent';
  return {
    title: 'keep the settings of k3s as they are wanted',
    async done() {
      const { current, wanted } = await settings(host, role, cluster);
      // Before it has joined there are none: what will be to do is seen then.
      return wanted !== undefined && current === wanted && !(await isStale(host, role));
    },
    async run(note, signal) {
      await inTurn(cluster, async () => {
        const { current, wanted } = await settings(host, role, cluster);
        if (wanted === undefined) return;
        if (current !== undefined && current !== wanted) await write(host, current, wanted);
        if (!(await isStale(host, role))) return;
        note(`${UNITS[role]} of ${host.address} is started again, with other settings; its pods go on`);
        await startK3s(host, role, 'restart', signal);
        await waitForK3s(host, role, () => isBack(host, role, cluster), {
          what: `k3s of ${host.address} to be back`,
          timeoutMs: RESTART_TIMEOUT_MS,
          signal,
        });
      });
    },
  };
}

/** Which master a host would ask at its next start is nothing to start it again for: then the file keeps its time. */
async function write(host: Host, current: string, wanted: string): Promise<void> {
  const { stdout } = await host.run(`stat -c %Y ${PATHS.config}`, { title: 'looking at the settings of k3s' });
  await host.writeFile(PATHS.config, wanted, { mode: 0o600 });
  const time = Number(stdout.trim());
  if (withoutServer(current) === withoutServer(wanted) && Number.isInteger(time)) {
    await host.run(`touch -d @${time} ${PATHS.config}`, { title: 'keeping the time of the settings of k3s' });
  }
}

function withoutServer(text: string): string {
  return text.replace(/^server: .*$/m, '');
}

/** Undefined where there are no settings: the host has not joined, or left. */
async function settings(
  host: Host,
  role: K3sRole,
  cluster: ClusterContext,
): Promise<{ readonly current: string | undefined; readonly wanted: string | undefined }> {
  const current = (await host.readFile(PATHS.config))?.toString('utf8');
  const membership = current === undefined ? undefined : membershipOf(current);
  if (membership === undefined) return { current, wanted: undefined };
  return { current, wanted: await wantedConfig(host, role, withLiveServer(membership, host, cluster), cluster) };
}

/** A host that joined through a master that is no longer one names another one: the first that is not itself. Pure. */
export function withLiveServer(
  membership: Membership,
  host: Pick<Host, 'address'>,
  { masters }: { readonly masters: readonly Pick<Host, 'address'>[] },
): Membership {
  if (!('server' in membership)) return membership;
  const urls = masters.filter(({ address }) => address !== host.address).map(({ address }) => serverUrl(address));
  const [first] = urls;
  return first === undefined || urls.includes(membership.server) ? membership : { ...membership, server: first };
}

/** Whether a file that k3s reads when it starts is newer than what runs; not where nothing runs. */
async function isStale(host: Host, role: K3sRole): Promise<boolean> {
  const { code } = await host.run(
    `started=$(${unitProperty(UNITS[role], 'ExecMainStartTimestamp')})
[ -n "$started" ] && systemctl is-active -q ${UNITS[role]} || exit 1
since=$(date -d "$started" +%s) || exit 1
for f in ${PATHS.config} ${PATHS.registries}; do
  [ -e "$f" ] && [ "$(stat -c %Y "$f")" -gt "$since" ] && exit 0
done
exit 1`,
    { allowFailure: true, timeoutMs: 30_000, title: 'looking whether k3s runs with its settings' },
  );
  return code === 0;
}

async function isBack(host: Host, role: K3sRole, cluster: ClusterContext): Promise<boolean> {
  const { code } = await host.run(`systemctl is-active -q ${UNITS[role]}`, { allowFailure: true, timeoutMs: 30_000 });
  if (code !== 0) return false;
  if (role === 'server') return apiServerReady(host);
  const [entry] = cluster.masters;
  return entry === undefined || nodeOf(await listNodes(entry), host)?.ready === true;
}

/** One host after the other: of the members of etcd never two are away. */
const turns = new WeakMap<ClusterContext, Promise<unknown>>();

function inTurn<T>(cluster: ClusterContext, work: () => Promise<T>): Promise<T> {
  const before = turns.get(cluster) ?? Promise.resolve();
  const mine = before.then(work, work);
  turns.set(
    cluster,
    mine.catch(() => undefined),
  );
  return mine;
}

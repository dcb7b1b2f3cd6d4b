import { isIPv6 } from 'node:net';
import type { Host } from '../../hosts/host.js';
import type { ClusterContext, DriverStep } from '../driver.js';
import { type HostsEntry, hasHostsBlock, setHostsBlock } from '../etc-hosts.js';
import { BALANCER, BALANCER_SCRIPT, BALANCER_UNIT } from './balancer-script.js';
import { API_SERVER_VIP, controlPlaneEndpoint } from './config.js';
import { kubeadmFacts } from './facts.js';

/** The name of our block in /etc/hosts. */
export const HOSTS_BLOCK = 'apiserver';

/**
 * Lets a host find the API servers of all masters: one on the host itself before the others, and on workers another one first for each,
 * so that they are spread. Done means that the host knows these, in this order, and looks after it by itself.
 */
export function followStep(host: Host, cluster: ClusterContext): DriverStep {
  const servers = preferredServers(host, cluster);
  return {
    title: `find the API servers ${servers.join(', ')}`,
    done: () => isLedTo(host, servers, cluster),
    run: async () => {
      await leadTo(host, servers, cluster);
    },
  };
}

/** Which API servers a host asks, in order of preference. Pure. */
export function preferredServers(
  { address }: Pick<Host, 'address'>,
  {
    masters,
    workers,
  }: {
    readonly masters: readonly Pick<Host, 'address'>[];
    readonly workers: readonly Pick<Host, 'address'>[];
  },
): readonly string[] {
  // Sorted: which master is asked at the moment must not turn the order round.
  const all = masters.map((master) => master.address).sort();
  if (all.includes(address)) return [address, ...all.filter((one) => one !== address)];
  const place = workers.findIndex((worker) => worker.address === address);
  const start = place < 0 ? 0 : place % Math.max(1, all.length);
  return [...all.slice(start), ...all.slice(0, start)];
}

/**
 * Lets the API server's name on `host` lead to the first of `servers` that answers, now and from now on. Does nothing when the
 * cluster's documents name an endpoint of their own.
 */
export async function leadTo(host: Host, servers: readonly string[], cluster: ClusterContext): Promise<void> {
  const way = wayTo(servers, cluster);
  if (way === undefined) return;
  if (way.config !== undefined) {
    const [, ...changed] = await Promise.all([
      writeIfOther(host, BALANCER.config, way.config, 0o644),
      writeIfOther(host, BALANCER.script, BALANCER_SCRIPT, 0o755),
      writeIfOther(host, BALANCER.unit, BALANCER_UNIT, 0o644),
    ]);
    // One reload: it takes a second on a small host.
    await host.run(
      `${BALANCER.script} once || exit 1
${changed.includes(true) ? 'systemctl daemon-reload\nsystemctl restart' : 'systemctl start'} ${BALANCER.service} || exit 1
systemctl is-enabled -q ${BALANCER.service} || systemctl enable -q --no-reload ${BALANCER.service}`,
      { title: 'leading the host to the API servers', timeoutMs: 60_000 },
    );
  }
  await setHostsBlock(host, HOSTS_BLOCK, way.hosts);
}

async function isLedTo(host: Host, servers: readonly string[], cluster: ClusterContext): Promise<boolean> {
  const way = wayTo(servers, cluster);
  if (way === undefined) return true;
  const led = hasHostsBlock(host, HOSTS_BLOCK, way.hosts);
  if (way.config === undefined) return led;
  const checks = await Promise.all([
    led,
    isText(host, BALANCER.config, way.config),
    isText(host, BALANCER.script, BALANCER_SCRIPT),
    isText(host, BALANCER.unit, BALANCER_UNIT),
    isActive(host),
  ]);
  return !checks.includes(false);
}

async function isActive(host: Host): Promise<boolean> {
  const { code } = await host.run(`systemctl is-active -q ${BALANCER.service}`, {
    title: 'looking whether the way to the API servers is looked after',
    allowFailure: true,
    timeoutMs: 30_000,
  });
  return code === 0;
}

/** What says where the API servers are; undefined when that is not ours to say. */
function wayTo(
  servers: readonly string[],
  cluster: ClusterContext,
): { readonly hosts: readonly HostsEntry[]; readonly config: string | undefined } | undefined {
  const { managed, name, port } = controlPlaneEndpoint(kubeadmFacts(cluster));
  const [first] = servers;
  if (!managed || first === undefined) return undefined;
  // The address that stands for all is an IPv4 one: in a cluster of IPv6 a host finds one API server only.
  if (servers.some(isIPv6)) return { hosts: [{ address: first, names: [name] }], config: undefined };
  return {
    hosts: [{ address: API_SERVER_VIP, names: [name] }],
    config: `${API_SERVER_VIP} ${port}\n${servers.map((server) => `${server}\n`).join('')}`,
  };
}

/** True when it was another text. */
async function writeIfOther(host: Host, path: string, text: string, mode: number): Promise<boolean> {
  if (await isText(host, path, text)) return false;
  await host.writeFile(path, text, { mode });
  return true;
}

async function isText(host: Host, path: string, text: string): Promise<boolean> {
  return (await host.readFile(path))?.toString('utf8') === text;
}

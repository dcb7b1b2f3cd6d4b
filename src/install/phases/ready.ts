import { formatDuration } from '../../base/format.js';
import type { ClusterNode, RuntimeDriver } from '../../runtime/driver.js';
import { waitFor } from '../../runtime/wait.js';
import { inputsDigest, type Phase, stepId } from '../plan/step.js';
import type { InstallWork, WorkHost } from '../work.js';

const LOG_LINES = 8;

/** Waits until every node is Ready. */
export const readyPhase: Phase<InstallWork> = {
  name: 'ready',
  title: 'Wait until the nodes are Ready',
  steps: ({ hosts, entry, driver, cluster, readyTimeoutMs }) => {
    const notReady = async (among: readonly WorkHost[]): Promise<readonly Waiting[]> => {
      const nodes = await driver.nodes(entry.host, cluster);
      return among.flatMap((host) => {
        const node = nodes.find(({ addresses }) => addresses.includes(host.address));
        return node?.ready === true ? [] : [{ host, node }];
      });
    };
    return [
      {
        id: stepId('ready'),
        host: undefined,
        title: `wait for ${hosts.length} ${hosts.length === 1 ? 'node' : 'nodes'}`,
        why: `at most ${formatDuration(readyTimeoutMs)}`,
        inputs: inputsDigest(hosts.map(({ address }) => address)),
        proof: 'check',
        check: async () => {
          const waiting = await notReady(hosts);
          return waiting.length === 0 ? { holds: true } : { holds: false, why: `${waiting.length} not Ready` };
        },
        run: async ({ signal, interrupt, failedHosts }) => {
          const awaited = hosts.filter(({ address }) => !failedHosts.has(address));
          await waitFor(async () => ((await notReady(awaited)).length === 0 ? true : undefined), {
            what: `the nodes of ${cluster.name} to be Ready`,
            timeoutMs: readyTimeoutMs,
            signal: AbortSignal.any([signal, interrupt]),
            explain: async () => {
              const waiting = await notReady(awaited);
              return (await Promise.all(waiting.map((one) => describe(one, driver)))).join('\n');
            },
            hint: !driver.ownNetwork
              ? 'a node is Ready when its network is: the image, or a launch command, must bring a network add-on'
              : `${driver.name} brings a network of its own: the log above, and "journalctl -u ${driver.nodeUnit('worker')}" on the host, say why it is not there`,
          });
          return `${awaited.length} Ready`;
        },
      },
    ];
  },
};

interface Waiting {
  readonly host: WorkHost;
  readonly node: ClusterNode | undefined;
}

async function describe({ host, node }: Waiting, driver: RuntimeDriver): Promise<string> {
  const unit = driver.nodeUnit(host.master ? 'master' : 'worker');
  const { stdout } = await host.host
    .run(`journalctl -q --no-pager -o cat -n ${LOG_LINES} -u ${unit}`, {
      allowFailure: true,
      timeoutMs: 20_000,
      title: `reading the log of ${unit}`,
    })
    .catch(() => ({ stdout: 'the host does not answer' }));
  const log = stdout.trim().split('\n');
  return [
    `  ${node?.name ?? host.address}: ${node?.condition ?? 'not registered'}`,
    ...log.map((line) => `    ${unit.replace('.service', '')}: ${line.slice(0, 300)}`),
  ].join('\n');
}

import { isSlipwayError } from '../../base/errors.js';
import type { Host } from '../../hosts/host.js';
import { failWhenItEndsAgain } from '../kubernetes/restarts.js';
import { waitFor } from '../wait.js';
import { kubectl } from './commands.js';
import { type K3sRole, PATHS, UNITS, unitFile } from './paths.js';

/** What there is of k3s on a host. */
export interface K3sRemains {
  /** The first server, or a join as one, came to its end here. */
  readonly complete: boolean;
  /** kubelet has its identity in a cluster. */
  readonly kubeletConfigured: boolean;
  readonly installed: readonly K3sRole[];
  readonly active: readonly K3sRole[];
  /** A server has data here. */
  readonly serverData: boolean;
  /** It has a member of etcd; else, when it has data, SQLite. */
  readonly etcd: boolean;
  /** SHA-256 of the CA of the cluster that it is of; undefined when it has none yet. */
  readonly caHash: string | undefined;
}

/** Looks, in one round trip. */
export async function findRemains(host: Host): Promise<K3sRemains> {
  const services = (['server', 'agent'] as const).map(
    (role) => `[ -e ${unitFile(role)} ] && echo 'installed ${role}'
systemctl is-active -q ${UNITS[role]} && echo 'active ${role}'`,
  );
  const { stdout } = await host.run(
    `[ -e ${PATHS.complete} ] && echo complete
[ -s ${PATHS.kubelet} ] && echo kubelet-configured
${services.join('\n')}
[ -e ${PATHS.etcd} ] || [ -e ${PATHS.sqlite} ] && echo server-data
[ -e ${PATHS.etcd} ] && echo etcd
for f in ${PATHS.serverCa} ${PATHS.agentServerCa}; do
  [ -s "$f" ] && echo "ca $(sha256sum <"$f" | cut -c1-64)" && break
done
true`,
    { title: 'looking for k3s on the host', timeoutMs: 60_000 },
  );
  const lines = stdout.split('\n');
  const words = new Set(lines);
  const roles = (word: string): K3sRole[] =>
    (['server', 'agent'] as const).filter((role) => words.has(`${word} ${role}`));
  return {
    complete: words.has('complete'),
    kubeletConfigured: words.has('kubelet-configured'),
    installed: roles('installed'),
    active: roles('active'),
    serverData: words.has('server-data'),
    etcd: words.has('etcd'),
    caHash: lines.find((line) => line.startsWith('ca '))?.slice(3),
  };
}

/** Whether the API server on this master itself says that it is ready: its administrator's kubeconfig leads to no other one. */
export async function apiServerReady(master: Host): Promise<boolean> {
  const { code, stdout } = await kubectl(master, '', ['get', '--raw=/readyz'], {
    allowFailure: true,
    title: 'asking the API server for /readyz',
  });
  return code === 0 && stdout.trim() === 'ok';
}

/** The last lines that k3s, with all it runs, wrote on a host. */
export async function k3sLog(host: Host, role: K3sRole, lines = 15): Promise<string> {
  const { stdout } = await host.run(`journalctl -q --no-pager -o cat -n ${lines} -u ${UNITS[role]}`, {
    allowFailure: true,
    timeoutMs: 20_000,
    title: 'reading the log of k3s',
  });
  return stdout.trim();
}

/**
 * Waits until the answer of `ask` is true, and gives up early when the service ends again and again.
 * @throws SlipwayError E_TIMEOUT, or E_HOST_COMMAND, with the last words of k3s.
 */
export async function waitForK3s(
  host: Host,
  role: K3sRole,
  ask: () => Promise<boolean>,
  {
    what,
    timeoutMs,
    signal,
  }: { readonly what: string; readonly timeoutMs: number; readonly signal?: AbortSignal | undefined },
): Promise<void> {
  const hint = `look at "journalctl -u ${UNITS[role]}" on ${host.address}`;
  await waitFor(
    async () => {
      if (await answered(ask)) return true;
      await failWhenItEndsAgain(host, UNITS[role], { what, log: () => k3sLog(host, role) });
      return undefined;
    },
    { what, timeoutMs, intervalMs: 2000, signal, explain: () => k3sLog(host, role), hint },
  );
}

/** What cannot be asked is not there yet: the API server that is asked may be the one that is just starting. */
async function answered(ask: () => Promise<boolean>): Promise<boolean> {
  try {
    return await ask();
  } catch (error) {
    if (isSlipwayError(error, 'E_HOST_COMMAND')) return false;
    throw error;
  }
}

/** Starts the service and returns at once: whether it comes up is for {@link waitForK3s} to see, which can say why not. */
export async function startK3s(
  host: Host,
  role: K3sRole,
  verb: 'start' | 'restart',
  signal?: AbortSignal,
): Promise<void> {
  await host.run(
    `systemctl daemon-reload && systemctl enable -q ${UNITS[role]}
systemctl reset-failed ${UNITS[role]} 2>/dev/null
systemctl ${verb} --no-block ${UNITS[role]}`,
    { timeoutMs: 60_000, title: `systemctl ${verb} ${UNITS[role]}`, ...(signal === undefined ? {} : { signal }) },
  );
}

/** Notes on a master that it was set up to the end. */
export async function markComplete(master: Host, cluster: string): Promise<void> {
  await master.writeFile(PATHS.complete, `${cluster}\n`, { mode: 0o644 });
}

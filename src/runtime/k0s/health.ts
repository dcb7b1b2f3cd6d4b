import { Writable } from 'node:stream';
import * as z from 'zod';
import type { Host } from '../../hosts/host.js';
import { kubectl } from './commands.js';
import { type K0sRole, PATHS, UNITS, unitFile } from './paths.js';

const statusSchema = z.looseObject({
  Version: z.string(),
  Pid: z.number(),
  Role: z.string(),
});

/** What the k0s that runs on a host says of itself. */
export interface K0sStatus {
  readonly version: string;
  readonly role: string;
}

/** `k0s status -o json`; undefined when no k0s runs (or is installed) there. */
export async function k0sStatus(host: Host): Promise<K0sStatus | undefined> {
  // Not into the log: the answer has the whole ClusterConfig, with what is secret in it.
  const chunks: Buffer[] = [];
  const stdout = new Writable({
    write(chunk: Buffer, _encoding, done) {
      chunks.push(chunk);
      done();
    },
  });
  const { code } = await host.run(`[ -x ${PATHS.binary} ] || exit 127\n${PATHS.binary} status -o json`, {
    stdout,
    allowFailure: true,
    timeoutMs: 30_000,
    title: 'k0s status',
  });
  return code === 0 ? parseStatus(Buffer.concat(chunks).toString('utf8')) : undefined;
}

/** Reads what `k0s status -o json` prints: up to v1.23 a sentence, and no failure, when it does not run. Pure. */
export function parseStatus(text: string): K0sStatus | undefined {
  try {
    const { Version: version, Role: role, Pid } = statusSchema.parse(JSON.parse(text));
    return Pid === 0 ? undefined : { version, role };
  } catch {
    return undefined;
  }
}

/** Whether the API server on this master itself says that it is ready. Its administrator's kubeconfig leads to no other one. */
export async function apiServerReady(master: Host): Promise<boolean> {
  const { code, stdout } = await kubectl(master, '', ['get', '--raw=/readyz'], {
    allowFailure: true,
    title: 'asking the API server for /readyz',
  });
  return code === 0 && stdout.trim() === 'ok';
}

/** Whether the kubelet of a host is up, by its own port of health. */
export async function kubeletRuns(host: Host): Promise<boolean> {
  const { code } = await host.run(`timeout 5 bash -c 'exec 3<>/dev/tcp/127.0.0.1/10248' 2>/dev/null`, {
    allowFailure: true,
    timeoutMs: 30_000,
    title: 'looking whether kubelet runs',
  });
  return code === 0;
}

/** The last lines that k0s, with all it runs, wrote on a host. */
export async function k0sLog(host: Host, role: K0sRole, lines = 15, since?: number): Promise<string> {
  const from = since === undefined ? '' : ` --since=@${since}`;
  const { stdout } = await host.run(`journalctl -q --no-pager -o cat -n ${lines}${from} -u ${UNITS[role]}`, {
    allowFailure: true,
    timeoutMs: 20_000,
    title: 'reading the log of k0s',
  });
  return stdout.trim();
}

/** What there is of k0s on a host. */
export interface K0sRemains {
  /** The first controller, or a join as one, came to its end here. */
  readonly complete: boolean;
  /** kubelet has its identity in a cluster. */
  readonly kubeletConfigured: boolean;
  /** Services that are installed, running or not. */
  readonly installed: readonly K0sRole[];
  readonly active: readonly K0sRole[];
  /** Data that a new cluster, or a join, must not begin with. */
  readonly leftovers: boolean;
}

/** Looks, in one round trip. */
export async function findRemains(host: Host): Promise<K0sRemains> {
  const services = (['controller', 'worker'] as const).map(
    (role) => `[ -e ${unitFile(role)} ] && echo 'installed ${role}'
systemctl is-active -q ${UNITS[role]} && echo 'active ${role}'`,
  );
  const { stdout } = await host.run(
    `[ -e ${PATHS.complete} ] && echo complete
[ -s ${PATHS.kubelet} ] && echo kubelet-configured
${services.join('\n')}
for f in ${PATHS.data}/pki ${PATHS.data}/etcd ${PATHS.data}/db ${PATHS.kubelet} ${unitFile('controller')} ${unitFile('worker')}; do
  [ -e "$f" ] && echo leftovers && break
done
true`,
    { title: 'looking for k0s on the host', timeoutMs: 60_000 },
  );
  const words = new Set(stdout.split('\n'));
  const roles = (word: string): K0sRole[] =>
    (['controller', 'worker'] as const).filter((role) => words.has(`${word} ${role}`));
  return {
    complete: words.has('complete'),
    kubeletConfigured: words.has('kubelet-configured'),
    installed: roles('installed'),
    active: roles('active'),
    leftovers: words.has('leftovers'),
  };
}

/** Notes on a master that it was set up to the end. */
export async function markComplete(master: Host, cluster: string): Promise<void> {
  await master.writeFile(PATHS.complete, `${cluster}\n`, { mode: 0o644 });
}

import { SlipwayError } from '../../base/errors.js';
import type { Host } from '../../hosts/host.js';
import { shellQuote } from '../../hosts/shell-script.js';
import { nodeIps } from '../kubernetes/node-ip.js';
import { failWhenItEndsAgain } from '../kubernetes/restarts.js';
import { waitFor } from '../wait.js';
import { k0s } from './commands.js';
import { k0sLog, k0sStatus } from './health.js';
import { type K0sRole, PATHS, UNITS, unitFile } from './paths.js';
import { isSameVersion, k0sAbilities } from './versions.js';

const STOP_TIMEOUT_MS = 5 * 60_000;

/** How a service of k0s is installed. */
export interface ServiceOptions {
  readonly address: string;
  readonly role: K0sRole;
  /** A cluster without workers runs its pods on the masters. */
  readonly hasWorkers: boolean;
  /** It joins, or has joined, with a token in {@link PATHS}.token. */
  readonly token: boolean;
  /** The networks of the cluster are of both families, and so must be what the node says are its addresses. */
  readonly dualStack?: boolean;
}

/**
 * The arguments of `k0s install`. A controller is a node as well, because a master is one to whoever uses Slipway; k0s taints it so that
 * pods keep away, unless there is nowhere else for them. A host with several addresses must not choose one for itself. Pure.
 */
export function installArgs({ address, role, hasWorkers, token }: ServiceOptions): readonly string[] {
  return [
    'install',
    role,
    ...(role === 'controller'
      ? [`--config=${PATHS.config}`, '--enable-worker', ...(hasWorkers ? [] : ['--no-taints'])]
      : []),
    ...(token ? [`--token-file=${PATHS.token}`] : []),
    `--kubelet-extra-args=--node-ip=${address}`,
  ];
}

/** `k0s install`, in place of a service that is there. */
export async function installService(
  host: Host,
  version: string,
  options: ServiceOptions,
  signal?: AbortSignal,
): Promise<void> {
  const { forceInstall } = k0sAbilities(version);
  // k0s looks for both itself where it is not told, by the name of the host; where it is told one, the node has no other.
  const address = (await nodeIps(host, options.dualStack === true)).join(',');
  const command = [PATHS.binary, ...installArgs({ ...options, address })].map(shellQuote).join(' ');
  const file = unitFile(options.role);
  await host.run(
    forceInstall
      ? `force=\n[ ! -e ${file} ] || force=--force\n${command} $force || exit $?\nsystemctl daemon-reload`
      : `rm -f ${file} && systemctl daemon-reload && ${command}`,
    { title: `k0s install ${options.role}`, timeoutMs: 120_000, ...(signal === undefined ? {} : { signal }) },
  );
}

/** `k0s start`, when it does not run. What is told of it later is told since the time that this gives (of the host, in seconds). */
export async function startService(host: Host, role: K0sRole, signal?: AbortSignal): Promise<number> {
  const { stdout } = await host.run(
    `date +%s
systemctl is-active -q ${UNITS[role]} || { systemctl reset-failed ${UNITS[role]} 2>/dev/null; ${PATHS.binary} start; }`,
    { title: 'k0s start', timeoutMs: 120_000, ...(signal === undefined ? {} : { signal }) },
  );
  return Number(stdout.split('\n', 1)[0]);
}

/** `k0s stop`, when it runs (k0s calls it a mistake otherwise), and waits until it has stopped. */
export async function stopService(host: Host, role: K0sRole, signal?: AbortSignal): Promise<void> {
  await host.run(
    `case $(systemctl is-active ${UNITS[role]}) in
active) ${PATHS.binary} stop || exit $? ;;
activating | deactivating | reloading) systemctl stop ${UNITS[role]} || exit $? ;;
esac
! systemctl is-active -q ${UNITS[role]}`,
    { title: 'k0s stop', timeoutMs: STOP_TIMEOUT_MS, ...(signal === undefined ? {} : { signal }) },
  );
}

/**
 * Starts it again, in one job of systemd: what ends this script, this program or the connection meanwhile does not end the job, so that the
 * host is never left stopped. `k0s stop` and `k0s start` are the two halves of it, and whoever is killed after the first leaves the second.
 */
export async function restartService(host: Host, role: K0sRole, signal?: AbortSignal): Promise<void> {
  await host.run(`systemctl reset-failed ${UNITS[role]} 2>/dev/null\nsystemctl restart ${UNITS[role]}`, {
    title: `systemctl restart ${UNITS[role]}`,
    timeoutMs: STOP_TIMEOUT_MS,
    ...(signal === undefined ? {} : { signal }),
  });
}

/**
 * Waits until the k0s on a host answers with its role and this version.
 * @throws SlipwayError E_TIMEOUT, E_CLUSTER_STATE when it gave up, both with its last words
 */
export async function waitUntilRunning(
  host: Host,
  role: K0sRole,
  version: string,
  {
    since,
    timeoutMs,
    signal,
  }: { readonly since?: number; readonly timeoutMs: number; readonly signal?: AbortSignal | undefined },
): Promise<void> {
  const what = `k0s ${version} on ${host.address} to run as ${role}`;
  await waitFor(
    async () => {
      const status = await k0sStatus(host);
      if (status !== undefined) {
        // `controller+worker` in some versions
        return status.role.split('+').includes(role) && isSameVersion(status.version, version) ? true : undefined;
      }
      await failWhenGivenUp(host, role, since);
      await failWhenItEndsAgain(host, UNITS[role], { what, log: () => k0sLog(host, role, 15, since) });
      return undefined;
    },
    {
      what,
      timeoutMs,
      intervalMs: 2000,
      signal,
      explain: () => k0sLog(host, role),
      hint: `look at "journalctl -u ${UNITS[role]}" on ${host.address}`,
    },
  );
}

async function failWhenGivenUp(host: Host, role: K0sRole, since?: number): Promise<void> {
  const { code } = await host.run(`systemctl is-failed -q ${UNITS[role]}`, {
    allowFailure: true,
    timeoutMs: 30_000,
    title: 'looking whether k0s failed',
  });
  if (code !== 0) return;
  throw new SlipwayError(
    'E_CLUSTER_STATE',
    `${host.address}: k0s does not start as ${role}\n${await k0sLog(host, role, 15, since)}`,
    { hint: `look at "journalctl -u ${UNITS[role]}" on ${host.address}` },
  );
}

/**
 * Puts the image's k0s where hosts have it, under a new name first so that one that runs is not disturbed, and sees that it is what
 * the image says.
 */
export async function installBinary(host: Host, rootfs: string, version: string, signal?: AbortSignal): Promise<void> {
  const source = shellQuote(`${rootfs}/bin/k0s`);
  await host.run(
    `mkdir -p ${PATHS.binary.slice(0, PATHS.binary.lastIndexOf('/'))}
if ! cmp -s ${source} ${PATHS.binary}; then
  cp ${source} ${PATHS.binary}.slipway-new && chmod 755 ${PATHS.binary}.slipway-new && mv -f ${PATHS.binary}.slipway-new ${PATHS.binary}
fi`,
    { title: `installing ${PATHS.binary}`, timeoutMs: 300_000, ...(signal === undefined ? {} : { signal }) },
  );
  const { stdout } = await k0s(host, ['version'], { signal });
  if (!isSameVersion(stdout, version)) {
    throw new SlipwayError(
      'E_INVALID_METADATA',
      `${host.address}: bin/k0s of the image is ${stdout.trim()}, its Metadata says ${version}`,
      { hint: 'build the image again: "version" in Metadata is what "k0s version" prints' },
    );
  }
}

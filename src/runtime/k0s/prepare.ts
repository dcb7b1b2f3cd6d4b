import { SlipwayError } from '../../base/errors.js';
import type { Host } from '../../hosts/host.js';
import type { ClusterContext } from '../driver.js';
import { onHost } from '../kubernetes/ask.js';
import { k0sFacts } from './cluster.js';
import { k0s } from './commands.js';
import { k0sConfigText, severalMastersProblem } from './config.js';
import { placeBundles } from './images.js';
import { SEVERAL_MASTERS_HINT } from './install-problem.js';
import { type K0sRole, PATHS } from './paths.js';
import { writeContainerdFile } from './registry-settings.js';
import { installBinary } from './service.js';

/** @throws SlipwayError E_UNSUPPORTED when this version cannot have the masters that are wanted. Changes nothing. */
export function checkMasters(cluster: ClusterContext): void {
  const problem = severalMastersProblem(k0sFacts(cluster));
  if (problem === undefined) return;
  throw new SlipwayError('E_UNSUPPORTED', `cluster ${cluster.name} cannot have several masters: ${problem}`, {
    hint: SEVERAL_MASTERS_HINT,
  });
}

/** Puts everything on a host that k0s needs before it is installed as a service: itself, settings of containerd, images, its configuration. */
export async function prepareHost(
  host: Host,
  role: K0sRole,
  cluster: ClusterContext,
  note: (line: string) => void,
  signal?: AbortSignal,
): Promise<void> {
  const { rootfs, version } = cluster;
  await installBinary(host, rootfs, version, signal);
  await onHost(host, undefined, 'umask 022\n[ -d /etc/k0s ] || mkdir -m 755 /etc/k0s', { signal, timeoutMs: 30_000 });
  await writeContainerdFile(host, version, note);
  await placeBundles(host, rootfs, signal);
  if (role === 'controller') await writeConfig(host, cluster, signal);
}

/** The configuration of a controller, made anew. */
async function writeConfig(host: Host, cluster: ClusterContext, signal?: AbortSignal): Promise<void> {
  const { stdout } = await k0s(host, ['config', 'create'], { signal });
  const text = k0sConfigText(stdout, k0sFacts(cluster), host.address);
  if ((await host.readFile(PATHS.config))?.toString('utf8') !== text) await replaceConfig(host, text, signal);
}

/** Another configuration, seen to be one that k0s takes before it takes the place of the one that is there. */
export async function replaceConfig(host: Host, text: string, signal?: AbortSignal): Promise<void> {
  const fresh = `${PATHS.config}.slipway-new`;
  await host.writeFile(fresh, text, { mode: 0o600 });
  try {
    await k0s(host, ['config', 'validate', `--config=${fresh}`], { signal });
  } catch (error) {
    await onHost(host, undefined, `rm -f ${fresh}`, { allowFailure: true, timeoutMs: 30_000 }).catch(() => undefined);
    throw error;
  }
  await onHost(host, undefined, `mv -f ${fresh} ${PATHS.config}`, { timeoutMs: 30_000 });
}

import { SlipwayError } from '../../base/errors.js';
import type { Host } from '../../hosts/host.js';
import { shellQuote } from '../../hosts/shell-script.js';
import type { ClusterContext } from '../driver.js';
import { isDualStack, nodeIps } from '../kubernetes/node-ip.js';
import { onHost } from './commands.js';
import { configText, k3sConfig, type Membership, networksOf } from './config.js';
import { writeContainerdTemplate } from './containerd-template.js';
import { placeArchives } from './images.js';
import { type K3sRole, PATHS, unitFile } from './paths.js';
import { k3sUnit } from './unit.js';

/** Puts everything on a host that k3s is started with: itself, its settings, its service, archives of images. */
export async function prepareHost(
  host: Host,
  role: K3sRole,
  membership: Membership,
  cluster: ClusterContext,
  note: (line: string) => void,
  signal?: AbortSignal,
): Promise<void> {
  await installBinary(host, cluster, signal);
  await checkDefaultRoute(host);
  await writeContainerdTemplate(host, cluster.version, note);
  await placeArchives(host, cluster.rootfs, signal);
  await writeConfig(host, role, membership, cluster);
  await writeIfOther(host, unitFile(role), k3sUnit(role), 0o644);
}

/** k3s itself and its links, when they are not those of the image. What runs goes on with the old one until it is started again. */
export async function installBinary(
  host: Host,
  { rootfs, version }: Pick<ClusterContext, 'rootfs' | 'version'>,
  signal?: AbortSignal,
): Promise<void> {
  const source = shellQuote(`${rootfs}/bin/k3s`);
  const links = PATHS.links.map((link) => `[ -e ${link} ] || [ -L ${link} ] || ln -s k3s ${link}`).join('\n');
  const { stdout } = await onHost(
    host,
    `umask 022
cmp -s ${source} ${PATHS.binary} || {
  cp ${source} ${PATHS.binary}.slipway-new && chmod 755 ${PATHS.binary}.slipway-new && mv -f ${PATHS.binary}.slipway-new ${PATHS.binary} || exit 1
}
${links}
${PATHS.binary} --version`,
    { signal, timeoutMs: 300_000, title: 'installing k3s' },
  );
  const found = /^k3s version (\S+)/m.exec(stdout)?.[1];
  if (found !== version) {
    throw new SlipwayError(
      'E_INVALID_METADATA',
      `the k3s of the image says that it is ${found ?? 'of no version'}, its Metadata ${version}`,
      { hint: `build the image with "version": "${found ?? 'that of bin/k3s'}" in Metadata` },
    );
  }
}

/** What the settings of a host are; their text is the same when they are. */
export async function wantedConfig(
  host: Host,
  role: K3sRole,
  membership: Membership,
  { certSANs, configDocuments: documents }: Pick<ClusterContext, 'certSANs' | 'configDocuments'>,
): Promise<string> {
  // k3s ends where the networks are of both families, and its addresses are not.
  const addresses = await nodeIps(host, isDualStack(networksOf(documents).podCIDR));
  return configText(k3sConfig(role, host.address, membership, { certSANs, documents }, addresses));
}

/** The token is in it: for root alone. */
export async function writeConfig(
  host: Host,
  role: K3sRole,
  membership: Membership,
  cluster: Pick<ClusterContext, 'certSANs' | 'configDocuments'>,
): Promise<void> {
  await writeIfOther(host, PATHS.config, await wantedConfig(host, role, membership, cluster), 0o600);
}

/** kube-proxy leads services by it, and k3s itself does not start without. */
async function checkDefaultRoute(host: Host): Promise<void> {
  const { stdout } = await host.run('ip route show default; ip -6 route show default', {
    allowFailure: true,
    timeoutMs: 30_000,
    title: 'looking for a default route',
  });
  if (stdout.trim() !== '') return;
  throw new SlipwayError('E_PREFLIGHT', `host ${host.address} has no default route, which k3s needs`, {
    hint: 'one that leads nowhere will do: ip link add dummy0 type dummy; ip addr add 203.0.113.254/31 dev dummy0; ip link set dummy0 up; ip route add default via 203.0.113.255 dev dummy0 metric 1000 (and where the distribution keeps its network settings)',
  });
}

async function writeIfOther(host: Host, path: string, text: string, mode: number): Promise<void> {
  if ((await host.readFile(path))?.toString('utf8') !== text) await host.writeFile(path, text, { mode });
}

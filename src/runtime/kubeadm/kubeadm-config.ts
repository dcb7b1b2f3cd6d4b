import { isSeq, parseDocument } from 'yaml';
import * as z from 'zod';
import { SlipwayError } from '../../base/errors.js';
import type { Host } from '../../hosts/host.js';
import { kubectl } from './commands.js';

const configMapSchema = z.looseObject({ data: z.looseObject({ ClusterConfiguration: z.string() }) });
/** The ConfigMap in which kubeadm keeps how a cluster was configured: joins and upgrades read it. */
export type KubeadmConfigMap = z.infer<typeof configMapSchema>;

const PLACE = ['-n', 'kube-system', 'get', 'configmap', 'kubeadm-config', '-o', 'json'];

/** Reads it. @throws SlipwayError E_CLUSTER_STATE when it is no ConfigMap of kubeadm. */
export async function readKubeadmConfig(master: Host, rootfs: string, signal?: AbortSignal): Promise<KubeadmConfigMap> {
  const { stdout } = await kubectl(master, rootfs, PLACE, { title: 'reading kubeadm-config', signal });
  let value: unknown;
  try {
    value = JSON.parse(stdout);
  } catch {
    value = undefined;
  }
  const parsed = configMapSchema.safeParse(value);
  if (!parsed.success) {
    throw new SlipwayError('E_CLUSTER_STATE', `${master.address}: kubeadm-config does not say how it was configured`, {
      hint: 'kubeadm itself needs it: "kubeadm init phase upload-config kubeadm --config FILE" makes it anew',
    });
  }
  return parsed.data;
}

/** Writes it, if nobody has changed it since it was read. */
export async function replaceKubeadmConfig(
  master: Host,
  rootfs: string,
  config: KubeadmConfigMap,
  clusterConfiguration: string,
  signal?: AbortSignal,
): Promise<void> {
  const changed = { ...config, data: { ...config.data, ClusterConfiguration: clusterConfiguration } };
  await kubectl(master, rootfs, ['replace', '-f', '-'], {
    stdin: JSON.stringify(changed),
    title: 'keeping the names in kubeadm-config',
    signal,
  });
}

/** The names in a ClusterConfiguration. Pure. */
export function certSANsOf(clusterConfiguration: string): readonly string[] {
  const list = parseDocument(clusterConfiguration).getIn(['apiServer', 'certSANs']);
  return isSeq(list) ? list.toJSON().map(String) : [];
}

/** A ClusterConfiguration with more names; undefined when it has them all. What else is in it stays as it is. Pure. */
export function withCertSANs(clusterConfiguration: string, names: readonly string[]): string | undefined {
  const has = certSANsOf(clusterConfiguration);
  const missing = names.filter((name) => !has.includes(name));
  if (missing.length === 0) return undefined;
  const document = parseDocument(clusterConfiguration);
  document.setIn(['apiServer', 'certSANs'], document.createNode([...has, ...missing]));
  return document.toString({ lineWidth: 0 });
}

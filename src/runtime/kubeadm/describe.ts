import { parse } from 'yaml';
import * as z from 'zod';
import { SlipwayError } from '../../base/errors.js';
import type { Host } from '../../hosts/host.js';
import type { ClusterDescription } from '../driver.js';
import { API_SERVER_NAME } from '../etc-hosts.js';
import type { JsonObject } from '../kubernetes/merge.js';
import { parseKubeVersion } from '../kubernetes/version.js';
import { API_SERVER_VIP } from './config.js';
import { readKubeadmConfig } from './kubeadm-config.js';

const clusterConfigurationSchema = z.looseObject({
  apiVersion: z.string().startsWith('kubeadm.k8s.io/'),
  kind: z.literal('ClusterConfiguration'),
  kubernetesVersion: z.string(),
  apiServer: z.looseObject({ certSANs: z.array(z.string()).optional() }).optional(),
});

/** What kubeadm keeps in a cluster of how it was configured. @throws SlipwayError E_HOST_COMMAND, E_CLUSTER_STATE */
export async function describeCluster(master: Host, rootfs: string): Promise<ClusterDescription> {
  const { data } = await readKubeadmConfig(master, rootfs);
  return describe(data.ClusterConfiguration, master.address);
}

/** Reads a ClusterConfiguration. Names that every cluster of ours has are not among the names it was given. Pure. */
export function describe(text: string, where: string): ClusterDescription {
  const parsed = clusterConfigurationSchema.safeParse(parse(text));
  if (!parsed.success) {
    throw new SlipwayError('E_CLUSTER_STATE', `${where}: the ClusterConfiguration in kubeadm-config cannot be read`);
  }
  const { kubernetesVersion: version, apiServer = {}, ...rest } = parsed.data;
  parseKubeVersion(version);
  const { certSANs = [], ...server } = apiServer;
  const document: JsonObject = { ...rest, ...(Object.keys(server).length === 0 ? {} : { apiServer: server }) };
  return {
    version,
    configDocuments: [document],
    certSANs: certSANs.filter((name) => !['127.0.0.1', API_SERVER_NAME, API_SERVER_VIP].includes(name)),
  };
}

import { parse } from 'yaml';
import * as z from 'zod';
import { SlipwayError } from '../../base/errors.js';
import { inFlight } from '../../base/in-flight.js';
import type { Host } from '../../hosts/host.js';
import { parseKubeVersion } from '../kubernetes/version.js';
import { kubectl } from './commands.js';

const schema = z.looseObject({ kubernetesVersion: z.string() });

/** What a cluster was made with, and was last taken to: kubeadm's own `ClusterConfiguration`. */
export type ClusterConfiguration = z.infer<typeof schema>;

/**
 * Asks the API server of `entry` for what kubeadm keeps in the ConfigMap `kubeadm-config`.
 * @throws SlipwayError E_CLUSTER_STATE when it says no version; E_HOST_COMMAND when the API server does not answer.
 */
export const readClusterConfiguration = inFlight(
  async (entry: Host, rootfs: string, signal?: AbortSignal): Promise<ClusterConfiguration> => {
    const { stdout } = await kubectl(
      entry,
      rootfs,
      ['-n', 'kube-system', 'get', 'configmap', 'kubeadm-config', '-o', 'jsonpath={.data.ClusterConfiguration}'],
      { title: 'reading kubeadm-config', signal },
    );
    const found = schema.safeParse(readYaml(stdout));
    if (!found.success) {
      throw new SlipwayError(
        'E_CLUSTER_STATE',
        `${entry.address}: kubeadm-config does not say the version of the cluster`,
      );
    }
    // Somebody may have changed it: it becomes a part of a file name.
    parseKubeVersion(found.data.kubernetesVersion);
    return found.data;
  },
);

function readYaml(text: string): unknown {
  try {
    return parse(text);
  } catch {
    return undefined;
  }
}

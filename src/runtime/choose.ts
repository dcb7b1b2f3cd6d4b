import { SlipwayError } from '../base/errors.js';
import { clusterRuntimeOf, type Metadata } from '../image/metadata.js';
import type { RuntimeDriver } from './driver.js';
import { kubeadmDriver } from './kubeadm/driver.js';

/**
 * The driver that installs an image, by the ClusterRuntime of its Metadata (`k8s` when it says none: images older than the field).
 * sealer's ChooseClusterRuntime.
 * @throws SlipwayError E_UNSUPPORTED for a runtime that cannot be installed yet.
 */
export function chooseClusterRuntime(metadata: Metadata): RuntimeDriver {
  const runtime = clusterRuntimeOf(metadata);
  if (runtime === 'k8s') return kubeadmDriver;
  throw new SlipwayError(
    'E_UNSUPPORTED',
    `the image's ClusterRuntime is ${runtime}, which this version cannot install`,
    {
      hint: 'it can be built, pushed, pulled and inspected; clusters are installed from images whose ClusterRuntime is k8s',
    },
  );
}

import { SlipwayError } from '../base/errors.js';
import { type ClusterRuntime, clusterRuntimeOf, type Metadata } from '../image/metadata.js';
import type { RuntimeDriver } from './driver.js';

/** Loaded when it is wanted: of several drivers a command needs one. */
const DRIVERS: Readonly<Partial<Record<ClusterRuntime, () => Promise<RuntimeDriver>>>> = {
  k8s: async () => (await import('./kubeadm/driver.js')).kubeadmDriver,
  k3s: async () => (await import('./k3s/driver.js')).k3sDriver,
  k0s: async () => (await import('./k0s/driver.js')).k0sDriver,
};

/** Takes off a host whichever of them is on it: for hosts of a cluster of which nothing but their mark is known. */
export async function anyRuntime(): Promise<Pick<RuntimeDriver, 'reset'>> {
  const drivers = await Promise.all(Object.values(DRIVERS).map((load) => load()));
  return {
    reset(host, rootfs) {
      const steps = drivers.map((driver) => driver.reset(host, rootfs));
      return {
        title: 'remove Kubernetes',
        async done() {
          for (const step of steps) if (!(await step.done())) return false;
          return true;
        },
        async run(note, signal) {
          for (const step of steps) if (!(await step.done())) await step.run(note, signal);
        },
      };
    },
  };
}

/**
 * The driver that installs an image, by the ClusterRuntime of its Metadata (`k8s` when it says none: images older than the field).
 * sealer's ChooseClusterRuntime.
 * @throws SlipwayError E_UNSUPPORTED for a runtime that cannot be installed yet.
 */
export async function chooseClusterRuntime(metadata: Pick<Metadata, 'ClusterRuntime'>): Promise<RuntimeDriver> {
  const runtime = clusterRuntimeOf(metadata);
  const load = DRIVERS[runtime];
  if (load !== undefined) return load();
  throw new SlipwayError(
    'E_UNSUPPORTED',
    `the image's ClusterRuntime is ${runtime}, which this version cannot install`,
    {
      hint: `it can be built, pushed, pulled and inspected; clusters are installed from images whose ClusterRuntime is ${Object.keys(DRIVERS).join(' or ')}`,
    },
  );
}

import type { StoredImage } from './image-index.js';
import { imageMounts } from './mounts.js';
import { pinsByCluster } from './pins.js';
import type { Store } from './store.js';

/** What images are kept for besides their names: mounts and clusters. The name of each says which. */
export async function otherRoots(store: Store): Promise<readonly StoredImage[]> {
  const mounts = await imageMounts(store);
  const pins = await pinsByCluster(store);
  return [
    ...mounts.map(({ target, descriptor }) => ({ name: `mount at ${target}`, descriptor })),
    ...[...pins].flatMap(([cluster, images]) =>
      images.map(({ name, descriptor }) => ({ name: `${name} of cluster ${cluster}`, descriptor })),
    ),
  ];
}

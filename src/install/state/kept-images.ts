import { pinImages, pinsOf } from '../../store/pins.js';
import type { Store } from '../../store/store.js';
import type { ApplicationImage } from '../files/install-image.js';
import type { ClusterState } from './cluster-state.js';

/**
 * What the cluster runs, what it can go back to, and what its applications were installed from stays in the store; nothing else does because
 * of it.
 * @param now an image that is added to what is kept already.
 */
export async function keepImages(
  store: Store,
  { name, image, previous, applications }: Pick<ClusterState, 'name' | 'image' | 'previous' | 'applications'>,
  now?: Pick<ApplicationImage, 'name' | 'descriptor'>,
): Promise<void> {
  const needed = new Set(
    [image, ...(previous === undefined ? [] : [previous]), ...applications.map((app) => app.image)].map(
      ({ digest }) => digest,
    ),
  );
  const kept = (await pinsOf(store, name)).filter(
    ({ descriptor: { digest } }) => needed.has(digest) && digest !== now?.descriptor.digest,
  );
  await pinImages(store, name, [
    ...(now === undefined ? [] : [{ name: now.name, descriptor: now.descriptor }]),
    ...kept,
  ]);
}

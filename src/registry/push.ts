import type { Descriptor } from '../image/oci.js';
import { parseReference } from '../image/reference.js';
import type { Store } from '../store/store.js';
import type { CopyResult } from './copy.js';
import type { RegistryOptions } from './options.js';
import { copyImage } from './places/copy-image.js';
import { registryTarget } from './places/registry-place.js';
import { storeImage } from './places/store-place.js';

export interface PushOptions extends RegistryOptions {
  /** Where to push to; default the image's own name. */
  readonly to?: string | undefined;
}

export interface PushedImage extends CopyResult {
  /** The name it has at the registry now. */
  readonly name: string;
  readonly descriptor: Descriptor;
  /** The `host/repository` it is in. */
  readonly to: string;
}

/**
 * Pushes an image of the store. Blobs that the registry has are not sent; those that it has in another repository, as far as the store
 * knows, are mounted from there. The tag appears last.
 * @param text a name, digest or beginning of a digest in the store.
 * @throws SlipwayError E_NOT_FOUND when it is not in the store, E_UNAUTHORIZED, E_REGISTRY_UNREACHABLE …
 */
export async function pushImage(store: Store, text: string, options: PushOptions = {}): Promise<PushedImage> {
  return store.use(async () => {
    const source = await storeImage(store, text);
    const reference = parseReference(options.to ?? source.label);
    const { reporter, signal } = options;
    const target = registryTarget(reference, options);
    const pushed = await copyImage(source, target, { all: true, reporter, signal });
    const { host, repository } = target.repository;
    return { name: reference.name, to: `${host}/${repository}`, ...pushed };
  });
}

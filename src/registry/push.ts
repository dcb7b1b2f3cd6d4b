import { SlipwayError } from '../base/errors.js';
import { silentReporter } from '../base/reporter.js';
import type { Digest } from '../image/digest.js';
import type { Descriptor } from '../image/oci.js';
import { parseReference } from '../image/reference.js';
import { findImage } from '../store/local-image.js';
import type { Store } from '../store/store.js';
import { Repository } from './client.js';
import { type CopyResult, copyGraph } from './copy.js';
import type { RegistryOptions } from './options.js';
import { remoteTarget } from './remote-content.js';
import { storeSource } from './store-content.js';

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
  const { reporter = silentReporter } = options;
  const { name, descriptor } = await findImage(store, text);
  const target = parseReference(options.to ?? name);
  if (target.digest !== undefined && target.digest !== descriptor.digest) {
    throw new SlipwayError(
      'E_DIGEST_MISMATCH',
      `cannot push ${name} as ${options.to ?? name}: its digest is ${descriptor.digest}`,
    );
  }
  const repository = Repository.of(target, options);
  const { host, name: own } = repository;
  const mountFrom = knownElsewhere(store, repository);
  const root = target.tag === undefined ? undefined : { digest: descriptor.digest, tag: target.tag };
  return store.use(async () => {
    const result = await copyGraph(storeSource(store), remoteTarget(repository, { root, mountFrom }), descriptor, {
      reporter,
      signal: options.signal,
      onBlob: ({ digest }) => store.noteSource(digest, host, own),
    });
    return { name: target.name, descriptor, to: `${host}/${own}`, ...result };
  });
}

/** Where else in the same registry a blob is, as far as the store knows. */
export function knownElsewhere(
  store: Store,
  { host }: Pick<Repository, 'host'>,
): (digest: Digest) => Promise<readonly string[]> {
  return async (digest) =>
    (await store.sourcesOf(digest)).filter((known) => known.host === host).map((known) => known.repository);
}

import { messageOf, SlipwayError } from '../../base/errors.js';
import { silentReporter } from '../../base/reporter.js';
import type { Reference } from '../../image/reference.js';
import { Repository } from '../client.js';
import type { ContentSource } from '../content.js';
import { mayTryNext, placesToPullFrom } from '../mirrors.js';
import type { RegistryOptions } from '../options.js';
import { remoteSource, remoteTarget } from '../remote-content.js';
import type { ImageSource, ImageTarget } from './image-place.js';

/** An image of a registry, and the repository of it that is asked: a mirror's, or its own. */
export interface RegistrySource extends ImageSource {
  readonly repository: NonNullable<ImageSource['repository']>;
}

/** A name at a registry. */
export interface RegistryTarget extends ImageTarget {
  readonly repository: NonNullable<ImageTarget['repository']>;
}

/**
 * Uses an image of a registry. Its mirrors are asked in turn, then the registry itself: when one fails on the way, everything is done again with the
 * next, which re-uses what has arrived.
 * @throws SlipwayError E_NOT_FOUND, E_UNAUTHORIZED, E_REGISTRY_UNREACHABLE … of the last place; what `use` throws for other reasons.
 */
export async function withRegistrySource<T>(
  reference: Reference,
  options: RegistryOptions,
  use: (source: RegistrySource) => Promise<T>,
): Promise<T> {
  const places = placesToPullFrom(reference, options);
  for (const [index, place] of places.entries()) {
    const failures = new WeakSet<object>();
    const content = watched(remoteSource(place), failures);
    try {
      const root = await resolved(place, reference, failures);
      return await use({
        label: reference.name,
        content,
        root,
        names: [reference.name],
        repository: { host: place.host, repository: place.name },
        repositoriesWith: async (_, host) => (host === place.host ? [place.name] : []),
      });
    } catch (error) {
      const isOurs = typeof error === 'object' && error !== null && failures.has(error);
      if (index === places.length - 1 || !isOurs || !mayTryNext(error)) throw error;
      (options.reporter ?? silentReporter).warn(`${messageOf(error)}; trying the next place`);
    }
  }
  throw new SlipwayError('E_INTERNAL', 'there is no place to pull from');
}

async function resolved(place: Repository, reference: Reference, failures: WeakSet<object>) {
  try {
    return await place.resolve(reference.digest ?? reference.tag ?? 'latest');
  } catch (error) {
    if (typeof error === 'object' && error !== null) failures.add(error);
    throw error;
  }
}

/** Notes what fails here, and not where it is copied to. */
function watched(source: ContentSource, failures: WeakSet<object>): ContentSource {
  const watch = (error: unknown): never => {
    if (typeof error === 'object' && error !== null) failures.add(error);
    throw error;
  };
  return {
    ...source,
    document: (descriptor, signal) => source.document(descriptor, signal).catch(watch),
    async *open(descriptor, start, end, signal) {
      const pieces = source.open(descriptor, start, end, signal)[Symbol.asyncIterator]();
      try {
        for (;;) {
          const next = await pieces.next().catch(watch);
          if (next.done === true) return;
          yield next.value;
        }
      } finally {
        await pieces.return?.();
      }
    },
  };
}

/**
 * A name at a registry that an image is to have. Blobs that the registry has in another repository, as far as the other side knows, are mounted from
 * there. The tag appears last.
 */
export function registryTarget(reference: Reference, options: RegistryOptions): RegistryTarget {
  const repository = Repository.of(reference, options);
  const { host, name } = repository;
  return {
    label: reference.name,
    repository: { host, repository: name },
    async receive({ digest }, source) {
      if (reference.digest !== undefined && reference.digest !== digest) {
        throw new SlipwayError(
          'E_DIGEST_MISMATCH',
          `cannot push ${source.label} as ${reference.name}@${reference.digest}: its digest is ${digest}`,
        );
      }
      const root = reference.tag === undefined ? undefined : { digest, tag: reference.tag };
      return remoteTarget(repository, {
        root,
        mountFrom: async (blob) => (await source.repositoriesWith?.(blob, host)) ?? [],
      });
    },
    finish: async () => {},
  };
}

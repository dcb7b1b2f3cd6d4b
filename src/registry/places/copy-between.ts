import { SlipwayError } from '../../base/errors.js';
import type { Reporter } from '../../base/reporter.js';
import type { Platform } from '../../image/platform.js';
import type { Store } from '../../store/store.js';
import type { RegistryOptions } from '../options.js';
import { type CopiedImage, copyImage } from './copy-image.js';
import type { ImageSource, ImageTarget } from './image-place.js';
import type { Place } from './place.js';
import { checkDifferent } from './same-place.js';

export interface CopyBetweenOptions {
  /** Which image of an index; default this machine's. */
  readonly platform?: Platform | undefined;
  /** Every image of an index, and the index itself. */
  readonly all?: boolean | undefined;
  /** Refuses a destination that cannot keep digests. */
  readonly preserveDigests?: boolean | undefined;
  /** How each side's registry is talked to; asked for only when there is one. */
  readonly sourceRegistry: () => Promise<RegistryOptions>;
  readonly targetRegistry: () => Promise<RegistryOptions>;
  /** Opened only when a side is the store. */
  readonly store: () => Promise<Store>;
  readonly reporter: Reporter;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Copies an image between any two places. Only the code that the two need is loaded.
 * @throws SlipwayError E_USAGE when both are the same; of the side that failed. A copy that fails leaves no image at the destination, and what was there
 * before as it was.
 */
export async function copyBetween(from: Place, to: Place, options: CopyBetweenOptions): Promise<CopiedImage> {
  await checkDifferent(from, to);
  checkPossible(to, options);
  const { platform, all, reporter, signal } = options;
  const work = (): Promise<CopiedImage> =>
    withSource(from, options, (source) =>
      withTarget(to, options, (target) => copyImage(source, target, { platform, all, reporter, signal })),
    );
  if (from.transport !== 'store' && to.transport !== 'store') return work();
  return (await options.store()).use(work);
}

function checkPossible(to: Place, { all, preserveDigests }: CopyBetweenOptions): void {
  if (to.transport !== 'docker-archive') return;
  if (all) {
    throw new SlipwayError('E_USAGE', 'a docker archive holds an image for one platform: --all cannot be kept', {
      hint: 'choose one with --platform, or copy to an oci-archive',
    });
  }
  if (preserveDigests) {
    throw new SlipwayError('E_UNSUPPORTED', 'a docker archive has no place for a manifest: its digest cannot be kept', {
      hint: 'copy to an oci-archive, or leave --preserve-digests away: the id of the image stays',
    });
  }
}

/** Uses an image at whatever place it is. */
export async function withSource<T>(
  place: Place,
  { store, sourceRegistry, signal }: Pick<CopyBetweenOptions, 'store' | 'sourceRegistry' | 'signal'>,
  use: (source: ImageSource) => Promise<T>,
): Promise<T> {
  switch (place.transport) {
    case 'docker': {
      const { withRegistrySource } = await import('./registry-place.js');
      return withRegistrySource(place.reference, await sourceRegistry(), use);
    }
    case 'store': {
      if (place.name === undefined) throw new SlipwayError('E_USAGE', `${place.text}: the name is missing`);
      const { storeImage } = await import('./store-place.js');
      return use(await storeImage(await store(), place.name));
    }
    case 'oci': {
      const { layoutImage } = await import('./layout-place.js');
      return use(await layoutImage(place.path, place.name));
    }
    case 'oci-archive': {
      const { withOciArchiveImage } = await import('./oci-archive-place.js');
      return withOciArchiveImage(place.path, place.name, signal, use);
    }
    case 'docker-archive': {
      const { withDockerArchiveImage } = await import('./docker-archive-place.js');
      return withDockerArchiveImage(place.path, place.name, signal, use);
    }
  }
}

async function withTarget<T>(
  place: Place,
  { store, targetRegistry, reporter }: CopyBetweenOptions,
  use: (target: ImageTarget) => Promise<T>,
): Promise<T> {
  switch (place.transport) {
    case 'docker': {
      const { registryTarget } = await import('./registry-place.js');
      return use(registryTarget(place.reference, await targetRegistry()));
    }
    case 'store': {
      const { withStoreTarget } = await import('./store-place.js');
      return withStoreTarget(await store(), place.name, use);
    }
    case 'oci': {
      const { withLayoutTarget } = await import('./layout-place.js');
      return withLayoutTarget(place.path, place.name, use);
    }
    case 'oci-archive': {
      const { withOciArchiveTarget } = await import('./oci-archive-place.js');
      return withOciArchiveTarget(place.path, place.name, use);
    }
    case 'docker-archive': {
      const { withDockerArchiveTarget } = await import('./docker-archive-place.js');
      return withDockerArchiveTarget(place.path, place.name, reporter, use);
    }
  }
}

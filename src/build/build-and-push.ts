import type { Descriptor } from '../image/oci.js';
import { EarlyPush } from '../registry/early-push.js';
import { type PushedImage, pushImage } from '../registry/push.js';
import type { Store } from '../store/store.js';
import { type BuildOptions, buildImage } from './build.js';

export interface BuiltAndPushed {
  readonly descriptor: Descriptor;
  /** One for each name. */
  readonly pushed: readonly PushedImage[];
}

/**
 * Builds an image and pushes it under all its names. Its layers are on their way while later ones are made; the names appear in the
 * registries when all of it is there.
 * @throws SlipwayError as buildImage and pushImage do. When only pushing failed, the image is in the store, with its names.
 */
export function buildAndPush(store: Store, options: BuildOptions): Promise<BuiltAndPushed> {
  const { tags, reporter, signal } = options;
  const registry = { ...options.registry, reporter, signal };
  return store.use(async () => {
    const early = new EarlyPush(store, tags, registry);
    let descriptor: Descriptor;
    try {
      descriptor = await buildImage(store, { ...options, onLayer: (layer) => early.begin(layer.descriptor) });
    } catch (error) {
      await early.abandon();
      throw error;
    }
    const sent = new Map(await early.settled());
    const pushed: PushedImage[] = [];
    try {
      for (const name of tags) {
        const { copied, reused, ...image } = await pushImage(store, name, registry);
        const before = sent.get(image.to) ?? 0;
        sent.delete(image.to);
        pushed.push({ ...image, copied: copied + before, reused: reused - before });
      }
    } catch (error) {
      reporter.warn(
        `the image is built and has its names here (${descriptor.digest}); "slipway push" goes on where this ended`,
      );
      throw error;
    }
    return { descriptor, pushed };
  });
}

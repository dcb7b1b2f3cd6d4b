import { join } from 'node:path';
import { SlipwayError } from '../base/errors.js';
import { makeDirectory } from '../base/make-directory.js';
import { directoryCorrections } from './directory-corrections.js';
import { growingTree } from './merge.js';
import { isMounted, MAX_LOWER, mountOverlay, type OverlayMount, unmount } from './overlay.js';
import { tarBlocks } from './tar-blocks.js';
import type { LayerToc } from './toc.js';
import { unpackLayer } from './unpack.js';

/** A layer that was unpacked into a directory of its own, for overlayfs. */
export interface LayerDirectory {
  readonly dir: string;
  readonly toc: Pick<LayerToc, 'entries'>;
}

export interface LayersMount extends Omit<OverlayMount, 'lower'> {
  /** Lowest first. */
  readonly layers: readonly LayerDirectory[];
  /** Where directories may be made that the mount needs as long as it lives; it need not exist. */
  readonly beside: string;
  readonly scratch: string;
}

/** One place is for what corrects the layers. */
const MOST_LAYERS = MAX_LOWER - 1;

/**
 * Shows layers merged as they are meant, by overlayfs: what it would show otherwise is corrected, see {@link directoryCorrections}. Of more layers than
 * overlayfs takes, the lowest are merged in a mount of their own first, which is detached once it is part of the other.
 *
 * @throws SlipwayError as mountOverlay; E_UNSUPPORTED for more than 997 layers.
 */
export async function mountLayers({ layers, beside, ...mount }: LayersMount): Promise<void> {
  if (layers.length <= MOST_LAYERS) {
    await mountOverlay({ ...mount, lower: await correctedDirectories(layers, join(beside, 'upper')) });
    return;
  }
  const lowest = layers.slice(0, MOST_LAYERS);
  const others = layers.slice(MOST_LAYERS);
  if (others.length >= MOST_LAYERS) {
    throw new SlipwayError(
      'E_UNSUPPORTED',
      `overlayfs cannot show ${layers.length} layers, only ${2 * MOST_LAYERS - 1}`,
      {
        hint: 'build the image anew with fewer instructions that change files',
      },
    );
  }
  const nested = join(mount.scratch, 'nested');
  await makeDirectory(nested);
  try {
    await mountOverlay({
      lower: await correctedDirectories(lowest, join(beside, 'lower')),
      target: nested,
      scratch: mount.scratch,
      ...(mount.hold === undefined ? {} : { hold: mount.hold }),
    });
    // As the others see it, what is merged is one layer that leaves nothing to be corrected.
    const tree = growingTree();
    for (const { toc } of lowest) tree.add(toc);
    const entries = Array.from(tree.entries(), ({ entry }) => entry);
    const lower = await correctedDirectories([{ dir: nested, toc: { entries } }, ...others], join(beside, 'upper'));
    await mountOverlay({ ...mount, lower });
  } finally {
    if (await isMounted(nested)) await unmount(nested, { lazy: true });
  }
}

/**
 * The directories of layers, lowest first, with one more on top where something has to be corrected.
 * @param corrections where that can be made.
 */
export async function correctedDirectories(layers: readonly LayerDirectory[], corrections: string): Promise<string[]> {
  const directories = layers.map(({ dir }) => dir);
  const entries = directoryCorrections(layers.map(({ toc }) => toc));
  if (entries.length === 0) return directories;
  await makeDirectory(corrections);
  await unpackLayer(tarBlocks(entries, {}), { compression: 'none', dir: corrections, whiteouts: 'overlay' });
  return [...directories, corrections];
}

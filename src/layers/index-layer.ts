import type { Compression } from '../image/media-types.js';
import { openLayerStream } from './layer-stream.js';
import type { TarLimits } from './tar-limits.js';
import { readTar } from './tar-reader.js';
import type { LayerToc } from './toc.js';
import { layerEntryOf, TocBuilder } from './toc-builder.js';

/**
 * The table of contents of a layer, made by reading it once without unpacking anything.
 *
 * @param stream the layer's blob.
 * @throws SlipwayError E_BAD_ARCHIVE when it is truncated or damaged, E_UNSAFE_ARCHIVE when it tries to leave its root or breaks a limit,
 * E_UNSUPPORTED for sparse files.
 */
export async function indexLayer(
  stream: AsyncIterable<Buffer>,
  compression: Compression,
  limits: Partial<TarLimits> = {},
): Promise<LayerToc> {
  const layer = openLayerStream(stream, compression, limits);
  const toc = new TocBuilder();
  await readTar(
    layer.tar,
    {
      member: (member) => toc.begin(layerEntryOf(member)),
      content: (piece) => toc.content(piece),
      end: () => toc.end(),
    },
    limits,
  );
  return toc.finish(layer.diffId(), layer.unpackedSize());
}

import type { Digest } from '../../image/digest.js';
import type { Compression } from '../../image/media-types.js';
import { indexLayer } from '../../layers/index-layer.js';
import { encodeToc } from '../../layers/toc-file.js';

/** What reading a layer once has told. */
export interface ReadLayer {
  readonly diffId: Digest;
  /** Its table of contents as a file of the store. */
  readonly toc: Uint8Array;
}

/** @throws SlipwayError as indexLayer. */
export async function readLayer(blob: AsyncIterable<Buffer>, compression: Compression): Promise<ReadLayer> {
  const toc = await indexLayer(blob, compression);
  return { diffId: toc.diffId, toc: encodeToc(toc) };
}

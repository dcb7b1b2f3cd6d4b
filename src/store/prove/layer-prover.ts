import { type FileHandle, open } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { mapLimit } from '../../base/concurrency.js';
import { isSlipwayError, SlipwayError } from '../../base/errors.js';
import { slots } from '../../base/slots.js';
import { type Digest, shortDigest } from '../../image/digest.js';
import { type Compression, compressionOf } from '../../image/media-types.js';
import type { Descriptor } from '../../image/oci.js';
import { keepToc, layersOf, type StoredLayer, wrongDiffId } from '../layer-store.js';
import type { LocalImage } from '../local-image.js';
import type { BlobFollower } from '../partial-blob.js';
import type { Store } from '../store.js';
import { type ReadLayer, readLayer } from './read-layer.js';
import { hasReaderThreads, ReaderThread } from './reader-thread.js';

/** With more threads than this they wait for the disk. */
const MOST_THREADS = 4;
/** Smaller blobs are read sooner than a thread has started. */
const SMALL = 1024 * 1024;
/** So many bytes are worth a message to a thread. */
const NEWS = 1024 * 1024;

/** A layer that a thread reads, or will when one is free. */
interface Reading {
  readonly file: FileHandle;
  readonly compression: Compression;
  thread?: ReaderThread;
  complete: boolean;
  cancelled: boolean;
}

/**
 * Reads the layers of images, each once: decompressed, hashed and listed, in threads, and while they arrive. So an image gets its name only
 * when every layer is what its config promises and no archive that unpacking would refuse, and its tables of contents are there before
 * somebody needs them.
 */
export class LayerProver {
  readonly #store: Store;
  readonly #place = slots(Math.min(MOST_THREADS, availableParallelism()));
  readonly #threads = new Set<ReaderThread>();
  readonly #idle: ReaderThread[] = [];
  readonly #arriving = new Map<Digest, Promise<ReadLayer>>();

  constructor(store: Store) {
    this.#store = store;
  }

  /** What reads a layer while its blob is written; undefined for what is no layer of files. */
  follow({ digest, mediaType }: Descriptor): ((path: string) => Promise<BlobFollower>) | undefined {
    const compression = compressionOf(mediaType);
    if (compression === undefined || !hasReaderThreads()) return undefined;
    return async (path) => {
      const reading: Reading = { file: await open(path, 'r'), compression, complete: false, cancelled: false };
      const result = this.#read(reading);
      result.catch(() => {}); // met when the image is proved
      this.#arriving.set(digest, result);
      let news = 0;
      return {
        grown: (bytes) => {
          news += bytes;
          if (news < NEWS) return;
          news = 0;
          reading.thread?.grown();
        },
        complete: () => {
          reading.complete = true;
          reading.thread?.complete();
        },
        cancel: () => {
          this.#arriving.delete(digest);
          reading.cancelled = true;
          if (reading.thread !== undefined) this.#end(reading.thread);
        },
      };
    };
  }

  /**
   * Proves every layer of an image that is in the store.
   * @throws SlipwayError E_DIGEST_MISMATCH when a layer unpacks to something else than the config says, E_UNSAFE_ARCHIVE, E_BAD_ARCHIVE …
   */
  async prove({ name, ...image }: Pick<LocalImage, 'name' | 'manifest' | 'config'>): Promise<void> {
    await mapLimit(layersOf(image), MOST_THREADS, async (layer) => {
      try {
        const diffId = await this.#diffIdOf(layer);
        if (diffId !== undefined && diffId !== layer.diffId) throw wrongDiffId(layer, diffId);
      } catch (error) {
        if (!isSlipwayError(error)) throw error;
        const { code, message, hint } = error;
        throw new SlipwayError(code, `${name}: layer ${shortDigest(layer.descriptor.digest)}: ${message}`, {
          ...(hint === undefined ? {} : { hint }),
          cause: error,
        });
      }
    });
  }

  /** Ends the threads. */
  async close(): Promise<void> {
    await Promise.all([...this.#threads].map((thread) => this.#end(thread)));
  }

  /** What a layer unpacks to; undefined for one that is not here, as may not be distributed, or is none of files. */
  async #diffIdOf({ descriptor: { digest, mediaType, size } }: StoredLayer): Promise<Digest | undefined> {
    const known = await this.#store.diffIdOf(digest);
    const compression = compressionOf(mediaType);
    if (known !== undefined || compression === undefined || (await this.#store.blobSize(digest)) !== size) return known;
    const { diffId, toc } = await (this.#arriving.get(digest) ?? this.#readStored(digest, size, compression));
    await keepToc(this.#store, diffId, toc);
    await this.#store.noteDiffId(digest, diffId);
    return diffId;
  }

  async #readStored(digest: Digest, size: number, compression: Compression): Promise<ReadLayer> {
    if (size < SMALL || !hasReaderThreads()) return readLayer(this.#store.openBlob(digest), compression);
    const file = await open(this.#store.blobPath(digest), 'r');
    return this.#read({ file, compression, complete: true, cancelled: false });
  }

  /** Reads in a thread, when there is one to be had; closes the file. */
  async #read(reading: Reading): Promise<ReadLayer> {
    try {
      return await this.#place(async () => {
        if (reading.cancelled) throw new SlipwayError('E_INTERNAL', 'a layer that did not arrive is not read');
        const thread = this.#idle.pop() ?? this.#start();
        const result = thread.read(reading.file.fd, reading.compression);
        reading.thread = thread;
        if (reading.complete) thread.complete();
        try {
          return await result;
        } finally {
          delete reading.thread;
          if (this.#threads.has(thread)) this.#idle.push(thread);
        }
      });
    } finally {
      await reading.file.close();
    }
  }

  #start(): ReaderThread {
    const thread = new ReaderThread();
    this.#threads.add(thread);
    return thread;
  }

  async #end(thread: ReaderThread): Promise<void> {
    this.#threads.delete(thread);
    await thread.end();
  }
}

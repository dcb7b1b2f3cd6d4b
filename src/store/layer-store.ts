import { randomBytes } from 'node:crypto';
import { chmod, mkdir, readFile, rename, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { errnoOf, fileSystemError, isSlipwayError, SlipwayError } from '../base/errors.js';
import { possibleOwners } from '../base/id-map.js';
import { makeDirectory } from '../base/make-directory.js';
import { removeTree } from '../base/remove-tree.js';
import { type Reporter, silentReporter } from '../base/reporter.js';
import { type Digest, hexOf } from '../image/digest.js';
import { compressionOf } from '../image/media-types.js';
import type { Descriptor } from '../image/oci.js';
import { indexLayer } from '../layers/index-layer.js';
import type { PackedLayer } from '../layers/pack.js';
import type { LayerToc } from '../layers/toc.js';
import { decodeToc, encodeToc } from '../layers/toc-file.js';
import { Unpacker } from '../layers/unpack.js';
import { replaceFile, syncDirectory } from './durable.js';
import type { LocalImage } from './local-image.js';
import { withLock } from './locks.js';
import type { Store } from './store.js';

/** A layer as the store keeps it: the blob, and the digest of what is in it. */
export interface StoredLayer {
  readonly descriptor: Descriptor;
  readonly diffId: Digest;
}

/** A layer unpacked on this machine, whiteouts in overlayfs form. */
export interface UnpackedLayer {
  readonly dir: string;
  readonly toc: LayerToc;
}

/** The layers of an image with their diffIDs, lowest first. */
export function layersOf({ manifest, config }: Pick<LocalImage, 'manifest' | 'config'>): StoredLayer[] {
  return manifest.layers.map((descriptor, index) => ({ descriptor, diffId: config.rootfs.diff_ids[index] as Digest }));
}

/** Takes a layer that has just been packed into `file` of the temporary space into the store. */
export async function adoptLayer(
  store: Store,
  file: string,
  { digest, size, mediaType, toc }: PackedLayer,
): Promise<StoredLayer> {
  await store.blobs.adopt(file, { digest, size });
  await saveToc(store, toc);
  await store.noteDiffId(digest, toc.diffId);
  return { descriptor: { mediaType, digest, size }, diffId: toc.diffId };
}

/** Keeps the table of contents of a layer that has just been read. */
function saveToc(store: Store, toc: LayerToc): Promise<void> {
  return keepToc(store, toc.diffId, encodeToc(toc));
}

/** {@link saveToc} for one that is encoded already. */
export async function keepToc(store: Store, diffId: Digest, encoded: Uint8Array): Promise<void> {
  const file = tocFile(store, diffId);
  await makeDirectory(dirname(file));
  await replaceFile(file, await store.temp.path('toc'), encoded);
}

/**
 * The table of contents of a layer: the one that was kept, else made by reading the blob once.
 * @throws SlipwayError E_DIGEST_MISMATCH when the blob's content is not what the config promises, E_UNSAFE_ARCHIVE, E_BAD_ARCHIVE.
 */
export async function readToc(store: Store, layer: StoredLayer): Promise<LayerToc> {
  const kept = await keptToc(store, layer.diffId);
  if (kept !== undefined) return kept;
  const toc = await indexLayer(openLayer(store, layer), layerCompression(layer)).catch((error: unknown) => {
    throw inTheStore(error, layer);
  });
  if (toc.diffId !== layer.diffId) throw wrongDiffId(layer, toc.diffId);
  await saveToc(store, toc);
  return toc;
}

/**
 * Reads a layer's blob, unless that has been done, and compares what is in it with the diffID, whatever is known of that diffID already: a table
 * of contents that was kept says nothing about *this* blob.
 * @throws SlipwayError as {@link readToc}.
 */
export async function verifyLayer(store: Store, layer: StoredLayer): Promise<void> {
  if ((await store.diffIdOf(layer.descriptor.digest)) === layer.diffId) return;
  const toc = await indexLayer(openLayer(store, layer), layerCompression(layer));
  if (toc.diffId !== layer.diffId) throw wrongDiffId(layer, toc.diffId);
  await saveToc(store, toc);
  await store.noteDiffId(layer.descriptor.digest, toc.diffId);
}

/** The tables of contents of an image's layers, lowest first. */
export async function readTocs(store: Store, image: Pick<LocalImage, 'manifest' | 'config'>): Promise<LayerToc[]> {
  const tocs: LayerToc[] = [];
  for (const layer of layersOf(image)) tocs.push(await readToc(store, layer));
  return tocs;
}

/**
 * The layers of an image, unpacked under `data/overlay2/DIFFID/diff`, lowest first. What is unpacked already is used again.
 * Processes that want the same layer at once share the work.
 */
export async function unpackedLayers(
  store: Store,
  layers: readonly StoredLayer[],
  { debug, reporter = silentReporter, signal }: UnpackingOptions = {},
): Promise<UnpackedLayer[]> {
  const unpacked: (UnpackedLayer | undefined)[] = [];
  for (const layer of layers) unpacked.push(await readyLayer(store, layer));
  const missing = layers.filter((_, index) => unpacked[index] === undefined);
  const workplace = new Workplace(store, debug);
  try {
    await reported(reporter, missing, async (progress) => {
      for (const layer of missing) {
        signal?.throwIfAborted();
        unpacked[layers.indexOf(layer)] = await unpackedLayer(store, layer, workplace, { progress, signal });
      }
    });
    return unpacked.filter((layer) => layer !== undefined);
  } finally {
    await workplace.close();
  }
}

export interface UnpackingOptions {
  /** Is told how the files are written. */
  readonly debug?: ((line: string) => void) | undefined;
  /** Shows how much is done; default nobody. */
  readonly reporter?: Reporter | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Where a layer is, or would be, unpacked: by whom it is decides who owns the files, and where overlayfs keeps its marks. */
export function layerDirectory(store: Store, diffId: Digest): string {
  return join(store.root, 'data', 'overlay2', `${hexOf(diffId)}${layerSuffix()}`);
}

/** What the names of layers end in that are unpacked as this process would. */
export function layerSuffix(): '' | `.${string}` {
  // Root of a namespace with one user can do more than that user: file capabilities, directories closed to everybody.
  const owners = process.getuid?.() === 0 ? possibleOwners() : 'user';
  return owners === 'all' ? '' : `.${owners}`;
}

/** Unpacks layers upon each other into an empty directory, where overlayfs cannot show them merged. */
export async function unpackMerged(
  store: Store,
  layers: readonly StoredLayer[],
  dir: string,
  { debug, reporter = silentReporter, signal, setuid = true }: UnpackingOptions & { readonly setuid?: boolean } = {},
): Promise<void> {
  const unpacker = new Unpacker(dir, { debug });
  try {
    await reported(reporter, layers, async (progress) => {
      for (const layer of layers) {
        try {
          await unpacker.unpack(openLayer(store, layer), {
            compression: layerCompression(layer),
            dir,
            whiteouts: 'apply',
            setuid,
            expect: { diffId: layer.diffId },
            progress,
            ...(signal === undefined ? {} : { signal }),
          });
        } catch (error) {
          throw inTheStore(error, layer);
        }
      }
    });
  } catch (error) {
    throw fileSystemError(error, `unpacking layers into ${dir}`);
  } finally {
    await unpacker.close();
  }
}

/**
 * Where layers are unpacked one after the other, by one writer that reaches nothing else. The place of each has a name that nobody can guess, is
 * made when its turn comes and moved away when it is done: an archive that would find a way out of its place would find nothing there.
 */
class Workplace {
  readonly #store: Store;
  readonly #debug: ((line: string) => void) | undefined;
  #open: { readonly dir: string; readonly unpacker: Unpacker } | undefined;

  constructor(store: Store, debug: ((line: string) => void) | undefined) {
    this.#store = store;
    this.#debug = debug;
  }

  /** A new directory, to be renamed to where it belongs once something has been unpacked in it. */
  async place(): Promise<{ readonly dir: string; readonly unpacker: Unpacker }> {
    this.#open ??= await this.#begin();
    const dir = join(this.#open.dir, randomBytes(16).toString('hex'));
    await mkdir(dir);
    return { dir, unpacker: this.#open.unpacker };
  }

  async close(): Promise<void> {
    if (this.#open === undefined) return;
    await this.#open.unpacker.close();
    await removeTree(this.#open.dir).catch(() => {}); // it is in this process's corner, which goes in the end
  }

  async #begin(): Promise<{ readonly dir: string; readonly unpacker: Unpacker }> {
    const dir = await this.#store.temp.path('layers');
    await makeDirectory(dir);
    return { dir, unpacker: new Unpacker(dir, { debug: this.#debug }) };
  }
}

type Progress = (bytes: number) => void;

/** Runs `work`, which reads the blobs of layers, as a task that can be watched. */
async function reported(
  reporter: Reporter,
  layers: readonly StoredLayer[],
  work: (progress: Progress) => Promise<void>,
): Promise<void> {
  if (layers.length === 0) return;
  const bytes = layers.reduce((sum, { descriptor }) => sum + descriptor.size, 0);
  const task = reporter.task(`unpack ${layers.length} layer${layers.length === 1 ? '' : 's'}`, bytes);
  try {
    await work((more) => task.advance(more));
    task.done();
  } catch (error) {
    task.fail();
    throw error;
  }
}

/** A layer that is unpacked already. */
async function readyLayer(store: Store, layer: StoredLayer): Promise<UnpackedLayer | undefined> {
  const home = layerDirectory(store, layer.diffId);
  const toc = await keptToc(store, layer.diffId);
  return toc !== undefined && (await isDirectory(home)) ? { dir: join(home, 'diff'), toc } : undefined;
}

async function unpackedLayer(
  store: Store,
  layer: StoredLayer,
  workplace: Workplace,
  { progress, signal }: { readonly progress: Progress; readonly signal: AbortSignal | undefined },
): Promise<UnpackedLayer> {
  const home = layerDirectory(store, layer.diffId);
  await store.directory('data', 'overlay2');
  const work = async (): Promise<UnpackedLayer> => {
    const ready = await readyLayer(store, layer);
    if (ready !== undefined) return ready;
    try {
      const { dir: temp, unpacker } = await workplace.place();
      const dir = join(temp, 'diff');
      await makeDirectory(dir);
      await chmod(dir, 0o755);
      const made = await unpacker.unpack(openLayer(store, layer), {
        compression: layerCompression(layer),
        dir,
        whiteouts: 'overlay',
        expect: { diffId: layer.diffId },
        progress,
        ...(signal === undefined ? {} : { signal }),
      });
      await saveToc(store, made);
      await store.temp.discard(home);
      await rename(temp, home);
      await syncDirectory(dirname(home));
      return { dir: join(home, 'diff'), toc: made };
    } catch (error) {
      throw inTheStore(fileSystemError(error, `unpacking layer ${layer.diffId}`), layer);
    }
  };
  const options = { ...store.waiting, ...(signal === undefined ? {} : { signal }) };
  return withLock(`${home}.lock`, 'exclusive', `layer ${layer.diffId}`, work, options);
}

/** Opened when it is read: nobody would hear of an error before. */
async function* openLayer(store: Store, { descriptor }: StoredLayer): AsyncIterable<Buffer> {
  yield* store.openBlob(descriptor.digest);
}

function layerCompression({ descriptor }: StoredLayer): 'gzip' | 'zstd' | 'none' {
  const compression = compressionOf(descriptor.mediaType);
  if (compression === undefined) {
    throw new SlipwayError(
      'E_UNSUPPORTED',
      `layer ${descriptor.digest} has media type ${descriptor.mediaType}, which is not a file system layer`,
      {
        hint: 'this is an artifact, not an image that can be mounted or run',
      },
    );
  }
  return compression;
}

function tocFile(store: Store, diffId: Digest): string {
  return join(store.root, 'tocs', `${hexOf(diffId)}.json.gz`);
}

async function keptToc(store: Store, diffId: Digest): Promise<LayerToc | undefined> {
  try {
    return decodeToc(await readFile(tocFile(store, diffId)), diffId);
  } catch (error) {
    // A damaged table is only a cache miss: it is made again from the verified blob.
    if (errnoOf(error) === 'ENOENT' || error instanceof SlipwayError) return undefined;
    throw error;
  }
}

async function isDirectory(dir: string): Promise<boolean> {
  return stat(dir).then(
    (found) => found.isDirectory(),
    () => false,
  );
}

/** What is wrong with a blob of the store was right when it came: pulling again would find that it is there. */
function inTheStore(error: unknown, { descriptor }: StoredLayer): unknown {
  if (!isSlipwayError(error, 'E_BAD_ARCHIVE', 'E_DIGEST_MISMATCH')) return error;
  return new SlipwayError(error.code, `layer ${descriptor.digest} in the store: ${error.message}`, {
    hint: '"slipway store check" says what is damaged in the store, with --repair it is fetched again',
    cause: error,
  });
}

/** @returns E_DIGEST_MISMATCH. */
export function wrongDiffId({ descriptor, diffId }: StoredLayer, actual: Digest): SlipwayError {
  return new SlipwayError(
    'E_DIGEST_MISMATCH',
    `layer ${descriptor.digest} unpacks to ${actual}, the image's config says ${diffId}`,
    {
      hint: 'the image is damaged or was tampered with; pull it again from a source you trust',
    },
  );
}

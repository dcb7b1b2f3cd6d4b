import { randomInt } from 'node:crypto';
import { readdir, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import type { Readable } from 'node:stream';
import { errnoOf, fileSystemError, SlipwayError } from '../base/errors.js';
import { makeDirectory } from '../base/make-directory.js';
import { readRegularFile } from '../base/read-regular-file.js';
import { refuseLink } from '../base/refuse-link.js';
import type { Digest } from '../image/digest.js';
import type { Descriptor } from '../image/oci.js';
import { type BlobIdentity, Blobs, type BlobWriter } from './blobs.js';
import { ImageIndex, type StoredImage } from './image-index.js';
import { LayerNotes } from './layer-notes.js';
import { type FileLock, type LockOptions, lock, tryLock } from './locks.js';
import { type BlobSource, SourceNotes } from './source-notes.js';
import { TempSpace } from './temp.js';

/** OCI image-spec, image-layout.md. */
const LAYOUT_FILE = 'oci-layout';
const LAYOUT = '{"imageLayoutVersion":"1.0.0"}';

/** Where files are written and removed by name. */
const OWN_DIRECTORIES = [
  ['blobs'],
  ['blobs', 'sha256'],
  ['blobs', 'sha512'],
  ['data'],
  ['data', 'mounts'],
  ['data', 'overlay2'],
  ['tmp'],
  ['tocs'],
  ['cache'],
  ['cache', 'build'],
  ['cache', 'diff-ids'],
  ['cache', 'sources'],
];

/** A store may come from a stranger, on a disk. */
const NO_LINKS = [
  'a store has its directories in itself',
  'a store on another disk is named as a whole, with --root DIR or SLIPWAY_ROOT; only that may be a link',
] as const;

/** How a store waits for other processes that use it. */
export type StoreOptions = Pick<LockOptions, 'signal' | 'reporter'>;

/**
 * The local content store: an OCI image layout (so `skopeo inspect oci:ROOT:NAME` works) with tables of contents, unpacked
 * layers, caches and clusters beside it.
 *
 * Any number of processes may use one store. Blobs are written under a temporary name, verified, made durable and renamed; the
 * index is replaced whole. Whoever uses blobs holds the shared lock ({@link use}), whoever deletes them the exclusive one.
 */
export class Store {
  readonly root: string;
  readonly blobs: Blobs;
  readonly temp: TempSpace;
  /** How other processes are waited for. */
  readonly waiting: StoreOptions;
  readonly #index: ImageIndex;
  readonly #sources: SourceNotes;
  readonly #layers: LayerNotes;
  #users = 0;
  #inUse: Promise<FileLock> | undefined;

  private constructor(root: string, waiting: StoreOptions) {
    this.root = root;
    this.waiting = waiting;
    this.temp = new TempSpace(join(root, 'tmp'));
    this.blobs = new Blobs(join(root, 'blobs'), this.temp);
    this.#index = new ImageIndex(join(root, 'index.json'), join(root, 'index.lock'), this.temp, {
      hint: 'keep what can be read of it, and all images, with: slipway store check --repair',
      locking: waiting,
    });
    this.#sources = new SourceNotes(join(root, 'cache', 'sources'));
    this.#layers = new LayerNotes(join(root, 'cache', 'diff-ids'), this.temp);
  }

  /**
   * Opens the store at `root`, making it when there is none.
   * @throws SlipwayError E_STORE when the directory holds something else, E_PERMISSION, E_NO_SPACE.
   */
  static async open(root: string, waiting: StoreOptions = {}): Promise<Store> {
    const dir = resolve(root);
    try {
      // Images that were pulled with somebody's credentials are for that somebody.
      await makeDirectory(dirname(dir));
      await makeDirectory(dir, 0o700);
      for (const names of OWN_DIRECTORIES) await refuseLink(join(dir, ...names), ...NO_LINKS);
      await makeDirectory(join(dir, 'blobs', 'sha256'));
      // Unpacked images hold setuid programs and device nodes of strangers: nobody else on this machine may reach them.
      for (const name of ['data', 'tmp']) await makeDirectory(join(dir, name), 0o700);
      await checkLayout(dir);
    } catch (error) {
      const failure = fileSystemError(error, `opening the store ${dir}`);
      if (failure instanceof SlipwayError && failure.code === 'E_PERMISSION') {
        throw new SlipwayError('E_PERMISSION', failure.message, {
          hint: 'run as root, or choose another place with --root DIR or SLIPWAY_ROOT',
          cause: error,
        });
      }
      throw failure;
    }
    return new Store(dir, waiting);
  }

  /** Ends what this process has unfinished in the store. */
  async close(): Promise<void> {
    await this.temp.close();
  }

  /** A directory of the store, made when missing: `tocs`, `data/overlay2`, `cache/build` … */
  async directory(...names: string[]): Promise<string> {
    const dir = join(this.root, ...names);
    await makeDirectory(dir);
    await refuseLink(dir, ...NO_LINKS);
    return dir;
  }

  blobPath(digest: Digest): string {
    return this.blobs.path(digest);
  }

  /** Bytes of a blob; undefined when it is not here. */
  blobSize(digest: Digest): Promise<number | undefined> {
    return this.blobs.size(digest);
  }

  /** Every blob with its size, in no order. */
  listBlobs(): Promise<BlobIdentity[]> {
    return this.blobs.list();
  }

  /** The raw bytes of a blob; `end` is inclusive. */
  openBlob(digest: Digest, range?: { readonly start: number; readonly end?: number }): Readable {
    return this.blobs.open(digest, range);
  }

  /** A small blob, verified; see {@link Blobs.read}. */
  readBlob(descriptor: Pick<Descriptor, 'digest' | 'size'>, limit: number): Promise<Buffer> {
    return this.blobs.read(descriptor, limit);
  }

  putBlob(bytes: Uint8Array): Promise<BlobIdentity> {
    return this.blobs.put(bytes);
  }

  /** A writer for a blob that streams in; `expected` chooses the hash algorithm. */
  newBlob(expected?: Digest): Promise<BlobWriter> {
    return this.blobs.create(expected);
  }

  /** All names, sorted. */
  images(): Promise<StoredImage[]> {
    return this.#index.list();
  }

  /** The names that can be read of an index that is damaged. */
  readableImages(): Promise<StoredImage[]> {
    return this.#index.readable();
  }

  /** Writes the index of names anew; the damaged one is kept. @returns where. */
  rewriteIndex(images: readonly StoredImage[]): Promise<string> {
    return this.#index.rewrite(images);
  }

  /** What a name stands for: a manifest or an index. */
  resolve(name: string): Promise<Descriptor | undefined> {
    return this.#index.resolve(name);
  }

  /** Lets `name` stand for `descriptor`. Everything the descriptor reaches must be in the store already. */
  tag(name: string, descriptor: Descriptor): Promise<void> {
    return this.#index.tag(name, descriptor);
  }

  /** {@link tag} for many: all at once, or nothing. */
  tagAll(images: readonly StoredImage[]): Promise<void> {
    return this.#index.tagAll(images);
  }

  /** Forgets a name; false when there was none. Blobs stay until a collection finds that nothing reaches them. */
  untag(name: string): Promise<boolean> {
    return this.#index.untag(name);
  }

  /** Remembers that a registry has a blob in a repository, so that a push to that registry can mount instead of upload. */
  noteSource(digest: Digest, host: string, repository: string): Promise<void> {
    return this.#sources.add(digest, { host, repository });
  }

  sourcesOf(digest: Digest): Promise<readonly BlobSource[]> {
    return this.#sources.of(digest);
  }

  /** Repositories of a registry that may have a blob. */
  async repositoriesWith(digest: Digest, host: string): Promise<readonly string[]> {
    return (await this.sourcesOf(digest)).filter((known) => known.host === host).map(({ repository }) => repository);
  }

  /** Remembers what the blob of a layer has been proved to unpack to. */
  noteDiffId(blob: Digest, diffId: Digest): Promise<void> {
    return this.#layers.add(blob, diffId);
  }

  /** What the blob of a layer has been proved to unpack to; undefined when it has not been read since it came. */
  diffIdOf(blob: Digest): Promise<Digest | undefined> {
    return this.#layers.of(blob);
  }

  /** Forgets what is known of a blob: it is gone, and nothing needs it. */
  async forgetNotes(digest: Digest): Promise<void> {
    await this.#sources.forget(digest);
    await this.#layers.forget(digest);
  }

  /** Runs `work` while no other process may delete blobs or unpacked layers. Calls may nest and overlap. */
  async use<T>(work: () => Promise<T>): Promise<T> {
    this.#users++;
    this.#inUse ??= lock(this.#usersLock, 'shared', 'the store', this.waiting);
    const held = this.#inUse;
    try {
      await held;
      return await work();
    } finally {
      this.#users--;
      if (this.#users === 0) {
        this.#inUse = undefined;
        await (await held.catch(() => undefined))?.release();
      }
    }
  }

  /** Runs `work` while nobody uses the store; undefined when somebody does, and goes on to for `waitSeconds` (default 0). */
  async exclusively<T>(
    work: () => Promise<T>,
    { waitSeconds = 0 }: Pick<LockOptions, 'waitSeconds'> = {},
  ): Promise<T | undefined> {
    const held = await tryLock(this.#usersLock, 'exclusive', { ...this.waiting, what: 'the store', waitSeconds });
    if (held === undefined) return undefined;
    try {
      return await work();
    } finally {
      await held.release();
    }
  }

  get #usersLock(): string {
    return join(this.root, 'users.lock');
  }
}

async function checkLayout(dir: string): Promise<void> {
  const file = join(dir, LAYOUT_FILE);
  const text = await readRegularFile(file).catch((error: unknown) => {
    if (errnoOf(error) !== 'ENOENT') throw error;
    return '';
  });
  // Empty is what a power cut may have left of a store that was just made.
  if (text === '') return makeLayout(dir, file);
  if (!text.includes('"1.0.0"')) {
    throw new SlipwayError('E_STORE', `${dir} is an OCI layout of another version: ${text.slice(0, 100)}`, {
      hint: 'choose another place with --root DIR',
    });
  }
}

/** Renamed into place: another process that opens the store at the same moment must never read half of it. */
async function makeLayout(dir: string, file: string): Promise<void> {
  const temp = `${file}.${randomInt(2 ** 47)}`; // nobody has put a link there
  await writeFile(temp, LAYOUT, { flush: true, flag: 'wx' });
  await rename(temp, file).catch((error: unknown) => {
    if (errnoOf(error) !== 'ENOENT') throw error; // that other process has made it, and removed ours with what killed ones left
  });
  for (const name of await readdir(dir)) if (/^oci-layout\.\d+$/.test(name)) await rm(join(dir, name), { force: true });
}

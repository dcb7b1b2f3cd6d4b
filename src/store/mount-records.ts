import { createHash } from 'node:crypto';
import { constants, type Dirent } from 'node:fs';
import { open, readdir, realpath, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import * as z from 'zod';
import { errnoOf, fileSystemError } from '../base/errors.js';
import { type Descriptor, descriptorSchema } from '../image/oci.js';
import { replaceFile } from './durable.js';
import { type FileLock, type LockOptions, tryLock } from './locks.js';
import { type SeenIn, seenInSchema } from './mount-namespace.js';
import type { Store } from './store.js';

/** How a rootfs is shown: by the kernel's overlayfs, by the program fuse-overlayfs, or as a copy. */
export const MOUNT_KINDS = ['overlay', 'fuse', 'copy'] as const;
export type MountKind = (typeof MOUNT_KINDS)[number];

/** An image whose merged rootfs can be seen at a directory of this machine. */
export interface ImageMount {
  /** The name it was mounted by. */
  readonly name: string;
  readonly descriptor: Descriptor;
  /** Without links. */
  readonly target: string;
  /** The directory was made for the mount and goes with it. */
  readonly ownTarget: boolean;
  readonly kind: MountKind;
  /** Of what is mounted: in which mount namespace. */
  readonly seenIn?: SeenIn | undefined;
  /** Of what is mounted, once it is: `major:minor` of its file system. */
  readonly device?: string | undefined;
  /** Of a copy at a directory of somebody's own: it is there, and nobody is making or removing it. */
  readonly whole: boolean;
  /** Of a copy at a directory of somebody's own: which that is, and what it was before. */
  readonly before?: DirectoryFacts | undefined;
  /** Another user has written this record: nothing is unmounted or removed because of what it says. */
  readonly foreign?: boolean | undefined;
}

const directorySchema = z.object({ ino: z.number(), mode: z.number(), uid: z.number(), gid: z.number() });
export type DirectoryFacts = z.infer<typeof directorySchema>;

const mountSchema = z.object({
  name: z.string(),
  descriptor: descriptorSchema,
  target: z.string(),
  ownTarget: z.boolean(),
  kind: z.enum(MOUNT_KINDS).default('overlay'),
  seenIn: seenInSchema.optional(),
  device: z.string().optional(),
  whole: z.boolean().default(true),
  before: directorySchema.optional(),
});

const RECORD = '.json';
const LOCK = '.lock';
const BESIDE = '.d';

/**
 * `data/mounts` of a store: a record for each mount, a lock for each place that somebody works at, directories that mounts need, and the
 * places that were made for mounts.
 */
export class MountRecords {
  /** Without links, as the mount table has it. */
  readonly dir: string;
  readonly #store: Store;

  private constructor(store: Store, dir: string) {
    this.dir = dir;
    this.#store = store;
  }

  static async of(store: Store): Promise<MountRecords> {
    return new MountRecords(store, join(await realpath(store.root), 'data', 'mounts'));
  }

  /** All records that can be read; those that cannot say nothing. */
  async list(): Promise<ImageMount[]> {
    const files = (await this.#names()).filter((name) => name.endsWith(RECORD));
    const mounts = await Promise.all(files.map((name) => readRecord(this.dir, name)));
    return mounts.filter((mount) => mount !== undefined);
  }

  read(target: string): Promise<ImageMount | undefined> {
    return readRecord(this.dir, `${keyOf(target)}${RECORD}`);
  }

  async write(mount: ImageMount): Promise<void> {
    await replaceFile(this.#file(mount.target, RECORD), await this.#store.temp.path('mount'), JSON.stringify(mount));
  }

  async remove(target: string): Promise<void> {
    await rm(this.#file(target, RECORD), { force: true });
  }

  /** Where a mount keeps directories that it needs. */
  beside(target: string): string {
    return this.#file(target, BESIDE);
  }

  /** What is in `data/mounts` and belongs to no record, by the place that it would belong to: killed processes have left it. */
  async strays(): Promise<readonly string[]> {
    const names = (await this.#entries()).filter((entry) => !entry.isSymbolicLink()).map(({ name }) => name);
    const known = new Set(names.filter((name) => name.endsWith(RECORD)).map((name) => name.slice(0, -RECORD.length)));
    return names
      .filter((name) => !name.endsWith(RECORD) && !name.endsWith(LOCK))
      .map((name) => join(this.dir, name))
      .filter(
        (path) => !known.has(path.endsWith(BESIDE) ? path.slice(this.dir.length + 1, -BESIDE.length) : keyOf(path)),
      );
  }

  /**
   * Runs `work` while no other process works at a place. The descriptor is that of the lock.
   * @param wait undefined is returned at once when another process does, unless this is set.
   */
  async at<T>(
    target: string,
    { wait, signal }: { readonly wait: boolean; readonly signal?: AbortSignal | undefined },
    work: (descriptor: number) => Promise<T>,
  ): Promise<T | undefined> {
    return this.#locked(keyOf(target), { wait, signal }, work);
  }

  /** Removes locks of places where nothing is and nobody works. */
  async sweepLocks(): Promise<void> {
    const names = await this.#names();
    const idle = names
      .filter((name) => name.endsWith(LOCK))
      .map((name) => name.slice(0, -LOCK.length))
      .filter((key) => !names.includes(`${key}${RECORD}`));
    for (const key of idle) await this.#locked(key, { wait: false }, async () => {});
  }

  async #locked<T>(
    key: string,
    { wait, signal }: { readonly wait: boolean; readonly signal?: AbortSignal | undefined },
    work: (descriptor: number) => Promise<T>,
  ): Promise<T | undefined> {
    const file = join(this.dir, `${key}${LOCK}`);
    const waiting = { ...this.#store.waiting, what: 'a mount', ...(signal === undefined ? {} : { signal }) };
    const held = await lockCurrent(file, wait ? waiting : { waitSeconds: 0 });
    if (held === undefined) return undefined;
    try {
      return await work(held.descriptor);
    } finally {
      // Whoever waits for it finds that it means nothing any more, and makes a new one.
      if ((await readRecord(this.dir, `${key}${RECORD}`)) === undefined) await rm(file, { force: true });
      await held.release();
    }
  }

  #file(target: string, suffix: string): string {
    return join(this.dir, `${keyOf(target)}${suffix}`);
  }

  async #names(): Promise<string[]> {
    return (await this.#entries()).map(({ name }) => name);
  }

  async #entries(): Promise<Dirent[]> {
    try {
      return await readdir(this.dir, { withFileTypes: true });
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') return [];
      throw error;
    }
  }
}

function keyOf(target: string): string {
  return createHash('sha256').update(target).digest('hex').slice(0, 16);
}

async function lockCurrent(file: string, options: LockOptions): Promise<FileLock | undefined> {
  for (;;) {
    const held = await tryLock(file, 'exclusive', options);
    if (held === undefined || (await held.isCurrent())) return held;
    await held.release();
  }
}

/**
 * Undefined when it is gone, or says nothing that could be a mount of this store: a place that is not the one that it is named for, or one of the
 * store's own that is somewhere else. What cannot be read may be of a mount that is there.
 */
async function readRecord(dir: string, name: string): Promise<ImageMount | undefined> {
  const file = join(dir, name);
  try {
    const { text, owner } = await readOwned(file);
    const mount = mountSchema.parse(JSON.parse(text));
    const { target, ownTarget } = mount;
    if (name !== `${keyOf(target)}${RECORD}` || (ownTarget && dirname(target) !== dir)) return undefined;
    return owner === process.getuid?.() ? mount : { ...mount, foreign: true };
  } catch (error) {
    const nothing = ['ENOENT', 'ELOOP', 'ENXIO'].includes(errnoOf(error) ?? '');
    if (nothing || error instanceof SyntaxError || error instanceof z.ZodError) return undefined;
    throw fileSystemError(error, `reading ${file}`);
  }
}

/** No link is followed, and a FIFO in the place of a file is no text. */
async function readOwned(file: string): Promise<{ readonly text: string; readonly owner: number }> {
  const handle = await open(file, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    const found = await handle.stat();
    return { text: found.isFile() ? await handle.readFile('utf8') : '', owner: found.uid };
  } finally {
    await handle.close();
  }
}

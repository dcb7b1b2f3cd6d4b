import { readdir, readFile, utimes } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import * as z from 'zod';
import { errnoOf, fileSystemError } from '../base/errors.js';
import { makeDirectory } from '../base/make-directory.js';
import { type Digest, hexOf, isDigest } from '../image/digest.js';
import { descriptorSchema } from '../image/oci.js';
import { replaceFile } from './durable.js';
import type { StoredLayer } from './layer-store.js';
import type { Store } from './store.js';

const digest = z.custom<Digest>((value) => typeof value === 'string' && isDigest(value));

/** What an instruction once made. `layers` is empty when it changed nothing. `note` is the instruction's own business. */
export const cacheRecordSchema = z.object({
  layers: z.array(z.object({ descriptor: descriptorSchema, diffId: digest })),
  created: z.iso.datetime({ offset: true }),
  note: z.unknown().optional(),
});
export interface CacheRecord {
  readonly layers: readonly StoredLayer[];
  /** RFC 3339: an image made from the cache alone keeps the time, and so the digest, of the first. */
  readonly created: string;
  readonly note?: unknown;
}

/**
 * The build cache: what an instruction made, kept under two keys. `scope` is what is known without looking at content (parent and
 * instruction), `key` adds the content. So a build can ask "has this instruction ever run on this parent?" before it reads a
 * single file: if not, nothing need be hashed ahead and the files are read once, while they are packed.
 */
export class BuildCache {
  readonly #store: Store;

  constructor(store: Store) {
    this.#store = store;
  }

  /** True when anything was ever recorded in this scope. */
  async knows(scope: Digest): Promise<boolean> {
    return (await entries(scopeDirectory(this.#store, scope))).length > 0;
  }

  /** A record whose layers are all still in the store. */
  async get(scope: Digest, key: Digest): Promise<CacheRecord | undefined> {
    const file = recordFile(this.#store, scope, key);
    const record = await readRecord(file);
    if (record === undefined) return undefined;
    for (const { descriptor } of record.layers) {
      if ((await this.#store.blobSize(descriptor.digest)) !== descriptor.size) return undefined;
    }
    // What is in use is not what a prune of old records takes. A store that cannot be written to can still be read.
    const now = new Date();
    await utimes(file, now, now).catch(() => {});
    return record;
  }

  async put(scope: Digest, key: Digest, record: CacheRecord): Promise<void> {
    const file = recordFile(this.#store, scope, key);
    try {
      await makeDirectory(dirname(file));
    } catch (error) {
      throw fileSystemError(error, 'writing to the build cache');
    }
    await replaceFile(file, await this.#store.temp.path('record'), JSON.stringify(record));
  }
}

/** A record as a file of the store. */
export interface CacheFile {
  readonly file: string;
  /** Undefined when it cannot be read; builds take it for absent. */
  readonly layers: readonly StoredLayer[] | undefined;
}

/** Every record of the build cache, in no order. */
export async function cacheFiles(store: Store): Promise<CacheFile[]> {
  const root = cacheDirectory(store);
  const files: CacheFile[] = [];
  for (const scope of await entries(root)) {
    for (const key of await entries(join(root, scope))) {
      const file = join(root, scope, key);
      files.push({ file, layers: (await readRecord(file))?.layers });
    }
  }
  return files;
}

function cacheDirectory(store: Store): string {
  return join(store.root, 'cache', 'build');
}

function scopeDirectory(store: Store, scope: Digest): string {
  return join(cacheDirectory(store), hexOf(scope));
}

function recordFile(store: Store, scope: Digest, key: Digest): string {
  return join(scopeDirectory(store, scope), `${hexOf(key)}.json`);
}

async function readRecord(file: string): Promise<CacheRecord | undefined> {
  try {
    return cacheRecordSchema.parse(JSON.parse(await readFile(file, 'utf8')));
  } catch {
    return undefined; // absent, torn, or of another version: all are a miss
  }
}

async function entries(dir: string): Promise<string[]> {
  try {
    return await readdir(dir);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ENOTDIR') return [];
    throw error;
  }
}

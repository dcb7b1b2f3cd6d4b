import { readdir, readFile, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import * as z from 'zod';
import { errnoOf } from '../base/errors.js';
import { makeDirectory } from '../base/make-directory.js';
import { digestOf, hexOf } from '../image/digest.js';
import { type Descriptor, descriptorSchema } from '../image/oci.js';
import { formatPlatform, normalizePlatform, type Platform } from '../image/platform.js';
import { replaceFile } from './durable.js';
import type { Store } from './store.js';

/** What a container image's name stood for when it was last asked for, for one platform. */
export interface KnownImage {
  /** The manifest. */
  readonly descriptor: Descriptor;
  /** Indexes that led to it and are in the store: of an image that was named by the digest of one. */
  readonly indexes: readonly Descriptor[];
}

const recordSchema = z.object({
  name: z.string(),
  platform: z.string(),
  descriptor: descriptorSchema,
  indexes: z.array(descriptorSchema),
});

/** Remembers what a name stands for: the next build on this machine asks nobody. Its content stays until a prune. */
export async function rememberImage(
  store: Store,
  name: string,
  platform: Platform,
  { descriptor, indexes }: KnownImage,
): Promise<void> {
  const record = { name, platform: platformText(platform), descriptor, indexes };
  const file = recordFile(store, name, platform);
  await makeDirectory(directory(store));
  await replaceFile(file, await store.temp.path('known-image'), JSON.stringify(record));
}

/** What is remembered of a name. Whether all of its content is still here is another question. */
export async function knownImage(store: Store, name: string, platform: Platform): Promise<KnownImage | undefined> {
  const file = recordFile(store, name, platform);
  const record = await readRecord(file);
  // The file's name is only a hash of the key: what it says of itself counts.
  if (record?.name !== name || record.platform !== platformText(platform)) return undefined;
  // What is in use is not what a prune of the old takes.
  const now = new Date();
  await utimes(file, now, now).catch(() => {});
  return record;
}

/** A name that is remembered, as a file of the store. */
export interface KnownImageFile {
  readonly file: string;
  /** Undefined when it cannot be read; builds take it for absent. */
  readonly known: KnownImage | undefined;
}

/** Everything that is remembered. */
export async function knownImageFiles(store: Store): Promise<KnownImageFile[]> {
  const found: KnownImageFile[] = [];
  for (const name of await files(directory(store))) {
    const file = join(directory(store), name);
    found.push({ file, known: await readRecord(file) });
  }
  return found;
}

function platformText(platform: Platform): string {
  return formatPlatform(normalizePlatform(platform));
}

function directory(store: Store): string {
  return join(store.root, 'cache', 'images');
}

function recordFile(store: Store, name: string, platform: Platform): string {
  return join(directory(store), `${hexOf(digestOf(`${platformText(platform)} ${name}`))}.json`);
}

async function readRecord(file: string): Promise<z.infer<typeof recordSchema> | undefined> {
  try {
    return recordSchema.parse(JSON.parse(await readFile(file, 'utf8')));
  } catch {
    return undefined; // absent, torn, or of another version: it is asked for again
  }
}

async function files(dir: string): Promise<string[]> {
  try {
    return await readdir(dir);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return [];
    throw error;
  }
}

import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import * as z from 'zod';
import { errnoOf, fileSystemError, SlipwayError } from '../base/errors.js';
import { makeDirectory } from '../base/make-directory.js';
import { zodProblems } from '../base/zod-error.js';
import { descriptorSchema } from '../image/oci.js';
import { replaceFile } from './durable.js';
import type { StoredImage } from './image-index.js';
import type { Store } from './store.js';

const FILE = 'images.json';

const pinsSchema = z.object({
  schema: z.literal(1),
  images: z.array(z.object({ name: z.string(), descriptor: descriptorSchema })),
});

/**
 * Images that a cluster of this machine runs or can go back to: `data/CLUSTER/images.json`. What they need stays as long as that directory
 * does, and they are found by their digests, whatever becomes of their names.
 */
export async function pinImages(store: Store, cluster: string, images: readonly StoredImage[]): Promise<void> {
  const dir = join(store.root, 'data', cluster);
  await makeDirectory(dir, 0o700);
  const text = `${JSON.stringify({ schema: 1, images }, null, 2)}\n`;
  await replaceFile(join(dir, FILE), await store.temp.path('pins'), text, 0o600);
}

/** Those of one cluster. @throws SlipwayError E_STORE when they cannot be read. */
export async function pinsOf(store: Store, cluster: string): Promise<readonly StoredImage[]> {
  const file = join(store.root, 'data', cluster, FILE);
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    const code = errnoOf(error);
    if (code === 'ENOENT' || code === 'ENOTDIR') return [];
    throw fileSystemError(error, `reading ${file}`);
  }
  const fail = (why: string): SlipwayError =>
    new SlipwayError('E_STORE', `${file} cannot be read: ${why}`, {
      hint: `remove it; the next command that works on cluster ${cluster} writes it anew`,
    });
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw fail('it is not valid JSON');
  }
  const parsed = pinsSchema.safeParse(value);
  if (!parsed.success) throw fail(zodProblems(parsed.error));
  return parsed.data.images;
}

/** Those of all clusters. @throws SlipwayError E_STORE when some cannot be read: what they need is not known. */
export async function pinsByCluster(store: Store): Promise<ReadonlyMap<string, readonly StoredImage[]>> {
  const dir = join(store.root, 'data');
  const clusters = await readdir(dir).catch((error: unknown) => {
    if (errnoOf(error) === 'ENOENT') return [];
    throw fileSystemError(error, `reading ${dir}`);
  });
  const found = new Map<string, readonly StoredImage[]>();
  for (const cluster of clusters) {
    const pins = await pinsOf(store, cluster);
    if (pins.length > 0) found.set(cluster, pins);
  }
  return found;
}

/** The pinned image with this digest; its name is the one that it had. */
export async function findPinned(store: Store, digest: string): Promise<StoredImage | undefined> {
  return [...(await pinsByCluster(store)).values()].flat().find(({ descriptor }) => descriptor.digest === digest);
}

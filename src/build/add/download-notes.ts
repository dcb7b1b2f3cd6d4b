import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import * as z from 'zod';
import { makeDirectory } from '../../base/make-directory.js';
import { type Digest, isDigest } from '../../image/digest.js';
import { replaceFile } from '../../store/durable.js';
import type { Store } from '../../store/store.js';

const noteSchema = z.object({
  digest: z.custom<Digest>((value) => typeof value === 'string' && isDigest(value)),
  modified: z.int().nonnegative().exactOptional(),
  validators: z.object({ etag: z.string().exactOptional(), lastModified: z.string().exactOptional() }),
});

/** What a URL gave when it was last downloaded, so that its server can be asked whether that has changed. */
export type DownloadNote = z.infer<typeof noteSchema>;

/** The note about a URL; undefined when there is none. */
export async function readDownloadNote(store: Store, url: URL): Promise<DownloadNote | undefined> {
  try {
    return noteSchema.parse(JSON.parse(await readFile(noteFile(store, url), 'utf8')));
  } catch {
    return undefined; // absent or damaged: it is downloaded again
  }
}

/** Keeps a note. The URL itself, which may hold a token, is not written down. */
export async function writeDownloadNote(store: Store, url: URL, note: DownloadNote): Promise<void> {
  const file = noteFile(store, url);
  await makeDirectory(dirname(file));
  await replaceFile(file, await store.temp.path('note'), JSON.stringify(note));
}

function noteFile(store: Store, url: URL): string {
  return join(store.root, 'cache', 'downloads', `${createHash('sha256').update(url.href).digest('hex')}.json`);
}

import { appendFile, readFile, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import * as z from 'zod';
import { errnoOf, fileSystemError } from '../base/errors.js';
import { makeDirectory } from '../base/make-directory.js';
import { type Digest, hexOf } from '../image/digest.js';

/** A registry repository that is known to hold a blob. */
export interface BlobSource {
  readonly host: string;
  readonly repository: string;
}

const noteSchema = z.object({ host: z.string(), repository: z.string() });

/** Where blobs came from or were pushed to: hints only, so a lost or stale note costs an upload, never correctness. */
export class SourceNotes {
  readonly #dir: string;
  readonly #seen = new Set<string>();

  constructor(dir: string) {
    this.#dir = dir;
  }

  async add(digest: Digest, source: BlobSource): Promise<void> {
    const line = `${JSON.stringify({ host: source.host, repository: source.repository })}\n`;
    const key = `${digest} ${line}`;
    if (this.#seen.has(key)) return;
    this.#seen.add(key);
    const known = await this.of(digest);
    if (known.some(({ host, repository }) => host === source.host && repository === source.repository)) return;
    const file = this.#file(digest);
    try {
      await makeDirectory(dirname(file));
      await appendFile(file, line); // one short line: O_APPEND writes it whole even when two processes do it at once
    } catch (error) {
      // A push from a store that cannot be written to.
      if (['EROFS', 'EACCES', 'EPERM'].includes(errnoOf(error) ?? '')) return;
      throw fileSystemError(error, 'noting where a blob came from');
    }
  }

  /** Forgets a blob. */
  async forget(digest: Digest): Promise<void> {
    await rm(this.#file(digest), { force: true });
  }

  async of(digest: Digest): Promise<readonly BlobSource[]> {
    let text: string;
    try {
      text = await readFile(this.#file(digest), 'utf8');
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') return [];
      throw error;
    }
    return text.split('\n').flatMap((line) => {
      try {
        return [noteSchema.parse(JSON.parse(line))];
      } catch {
        return []; // the empty text after the last line, or a line torn by a crash
      }
    });
  }

  #file(digest: Digest): string {
    return join(this.#dir, hexOf(digest));
  }
}

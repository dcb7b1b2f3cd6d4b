import { readFile, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { errnoOf, fileSystemError } from '../base/errors.js';
import { makeDirectory } from '../base/make-directory.js';
import { type Digest, hexOf, isDigest } from '../image/digest.js';
import type { TempSpace } from './temp.js';

/** What the blobs of layers have been proved to unpack to. A note that is lost costs reading the blob again. */
export class LayerNotes {
  readonly #dir: string;
  readonly #temp: TempSpace;

  constructor(dir: string, temp: TempSpace) {
    this.#dir = dir;
    this.#temp = temp;
  }

  /** The diffID of a blob; undefined when nobody has read it yet. */
  async of(blob: Digest): Promise<Digest | undefined> {
    try {
      const text = await readFile(this.#file(blob), 'utf8');
      return isDigest(text) ? text : undefined; // a power cut may leave an empty one, zeros or a part
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') return undefined;
      throw error;
    }
  }

  async add(blob: Digest, diffId: Digest): Promise<void> {
    const file = this.#file(blob);
    try {
      await makeDirectory(dirname(file));
      const temp = await this.#temp.path('note');
      await writeFile(temp, diffId);
      await rename(temp, file);
    } catch (error) {
      throw fileSystemError(error, 'noting what a layer unpacks to');
    }
  }

  /** Forgets a blob. */
  async forget(blob: Digest): Promise<void> {
    await rm(this.#file(blob), { force: true });
  }

  #file(blob: Digest): string {
    return join(this.#dir, hexOf(blob));
  }
}

import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import * as z from 'zod';
import { makeDirectory } from '../../base/make-directory.js';
import { type Digest, sha256Digest } from '../../image/digest.js';
import { type FileStamp, readUnchanged } from '../../layers/read-unchanged.js';
import { replaceFile } from '../../store/durable.js';
import type { Store } from '../../store/store.js';

/** inode, size, mtime and ctime in milliseconds (with fractions), sha256 in hexadecimal. */
const rowSchema = z.tuple([z.number(), z.number(), z.number(), z.number(), z.string()]);
type Row = z.infer<typeof rowSchema>;

/**
 * A file that changed less than this before it was hashed is not remembered: a second change within one tick of the clock would
 * leave the same times ("racy git").
 */
const SETTLE_MS = 1000;

const MOST_ROWS = 400_000;

/**
 * Remembers the sha256 of the files of one context by (path, inode, size, mtime, ctime), so that an unchanged context of any size
 * costs only `lstat`s.
 */
export class FileDigests {
  readonly #store: Store;
  readonly #file: string;
  readonly #rows: Map<string, Row>;
  readonly #known = new Map<string, Row>();
  #changed = false;

  private constructor(store: Store, file: string, rows: Map<string, Row>) {
    this.#store = store;
    this.#file = file;
    this.#rows = rows;
  }

  /** The memory for the context at `root`. */
  static async open(store: Store, root: string): Promise<FileDigests> {
    const file = join(store.root, 'cache', 'files', `${createHash('sha256').update(root).digest('hex')}.json`);
    let rows = new Map<string, Row>();
    try {
      rows = new Map(Object.entries(z.record(z.string(), rowSchema).parse(JSON.parse(await readFile(file, 'utf8')))));
    } catch {
      // absent or damaged: everything is hashed again
    }
    return new FileDigests(store, file, rows);
  }

  /** The digest of an unchanged file, without reading it. */
  lookup(file: string, stats: FileStamp): Digest | undefined {
    const row = this.#rows.get(file);
    if (
      row === undefined ||
      row[0] !== stats.ino ||
      row[1] !== stats.size ||
      row[2] !== stats.mtimeMs ||
      row[3] !== stats.ctimeMs
    )
      return undefined;
    this.#known.set(file, row);
    return sha256Digest(row[4]);
  }

  /**
   * The digest of a regular file, read if need be.
   * @throws SlipwayError E_FILE_CHANGED when it is another file by now, or is written to meanwhile; E_PERMISSION.
   */
  async digest(file: string, stats: FileStamp): Promise<Digest> {
    const known = this.lookup(file, stats);
    if (known !== undefined) return known;
    const hash = createHash('sha256');
    for await (const chunk of readUnchanged(file, stats)) hash.update(chunk);
    const digest = sha256Digest(hash.digest('hex'));
    this.record(file, stats, digest);
    return digest;
  }

  /** Notes what a file's content was when it had these `stats`. */
  record(file: string, stats: FileStamp, digest: Digest): void {
    if (Date.now() - Math.max(stats.mtimeMs, stats.ctimeMs) < SETTLE_MS) return;
    this.#known.set(file, [stats.ino, stats.size, stats.mtimeMs, stats.ctimeMs, digest.slice('sha256:'.length)]);
    this.#changed = true;
  }

  /** Keeps what was learnt. When the memory has grown too large, only what this run asked about stays. */
  async save(): Promise<void> {
    if (!this.#changed) return;
    await makeDirectory(dirname(this.#file));
    const rows = this.#rows.size > MOST_ROWS ? this.#known : new Map([...this.#rows, ...this.#known]);
    await replaceFile(this.#file, await this.#store.temp.path('files'), JSON.stringify(Object.fromEntries(rows)));
  }
}

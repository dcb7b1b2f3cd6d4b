import { type FileHandle, open, readFile } from 'node:fs/promises';
import * as z from 'zod';
import { errnoOf, fileSystemError } from '../../base/errors.js';
import { redact } from '../../base/redact.js';

const entrySchema = z.object({
  time: z.string(),
  /** The run that wrote it. */
  run: z.string(),
  step: z.string(),
  event: z.enum(['started', 'done', 'failed']),
  /** Digest of what the step was made from. */
  inputs: z.string(),
  message: z.string().optional(),
});
export type JournalEntry = z.infer<typeof entrySchema>;

/**
 * The entries of a journal, oldest first; none when there is no journal. A line that cannot be read (the last one, when the process
 * that wrote it was killed) counts as not written.
 */
export async function readJournal(file: string): Promise<JournalEntry[]> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return [];
    throw fileSystemError(error, `reading ${file}`);
  }
  return text.split('\n').flatMap((line) => {
    try {
      const parsed = entrySchema.safeParse(JSON.parse(line));
      return parsed.success ? [parsed.data] : [];
    } catch {
      return [];
    }
  });
}

/** The newest word of a journal on each step. */
export function lastEvents(entries: readonly JournalEntry[]): ReadonlyMap<string, JournalEntry> {
  return new Map(entries.map((entry) => [entry.step, entry]));
}

/** Writes a journal: each entry is on the disk before `write` ends. */
export class Journal {
  readonly #handle: FileHandle;
  readonly #file: string;
  readonly #run: string;
  /** Entries are written one after the other, whole. */
  #last: Promise<void> = Promise.resolve();

  private constructor(handle: FileHandle, file: string, run: string) {
    this.#handle = handle;
    this.#file = file;
    this.#run = run;
  }

  /** Opens a journal for more entries. A torn last line is closed, so that the next one is not lost with it. */
  static async open(file: string, run: string): Promise<Journal> {
    const handle = await open(file, 'a+', 0o600).catch((error: unknown) => {
      throw fileSystemError(error, `opening ${file}`);
    });
    const { size } = await handle.stat();
    const last = Buffer.alloc(1);
    if (size > 0) await handle.read(last, 0, 1, size - 1);
    if (size > 0 && last.toString() !== '\n') await handle.write('\n');
    return new Journal(handle, file, run);
  }

  write(entry: Omit<JournalEntry, 'time' | 'run'>): Promise<void> {
    const message = entry.message === undefined ? {} : { message: redact(entry.message) };
    const line = `${JSON.stringify({ time: new Date().toISOString(), run: this.#run, ...entry, ...message })}\n`;
    const written = this.#last.then(async () => {
      try {
        await this.#handle.write(line);
        await this.#handle.datasync();
      } catch (error) {
        throw fileSystemError(error, `writing ${this.#file}`);
      }
    });
    this.#last = written.catch(() => {});
    return written;
  }

  async close(): Promise<void> {
    await this.#last;
    await this.#handle.close();
  }
}

import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import * as z from 'zod';
import { ERROR_CODES, type ErrorCode, errnoOf, SlipwayError } from '../base/errors.js';
import { type Confinement, spawnConfined } from './confinement.js';
import { unsafeArchive } from './tar-limits.js';
import { FRAME, type FrameKind, frameHeader, type WriterTask } from './writer-protocol.js';
import type { FileXattrs } from './xattrs.js';

const PROGRAM = fileURLToPath(new URL('./unpack-worker.js', import.meta.url));

/** Bytes that are on their way to the writer at most, but for the last piece. */
const WINDOW = 4 * 1024 * 1024;
/** Of the answers to one task, which come from a process that may have been taken over. */
const MOST_ANSWERS = 32 * 1024 * 1024;
const STDERR_KEPT = 2000;

const answerSchema = z.discriminatedUnion('is', [
  z.object({ is: z.enum(['ready', 'written']) }),
  z.object({ is: z.literal('attributes'), path: z.string(), xattrs: z.record(z.string(), z.string()) }),
  z.object({
    is: z.literal('failed'),
    slipway: z.boolean(),
    code: z.string().optional(),
    message: z.string().max(20_000),
    hint: z.string().max(2000).optional(),
  }),
]);

/** What the writer is started with. */
export interface WriterProgram {
  readonly confinement: Confinement;
  readonly command: readonly string[];
}

/**
 * The program of the writer, confined to a directory; undefined where it is not there (the sources are run without being compiled).
 *
 * @param devices it may make device nodes.
 */
export function writerProgram(dir: string, devices: boolean): WriterProgram | undefined {
  if (!existsSync(PROGRAM)) return undefined;
  const root = process.getuid?.() === 0;
  return {
    confinement: {
      writable: dir,
      visible: { [NODE]: process.execPath, [CODE]: dirname(PROGRAM), '/slipway/package.json': packageFile() },
      capabilities: root ? [...CAPABILITIES, ...(devices ? ['CAP_MKNOD'] : [])] : [],
    },
    command: [NODE, join(CODE, 'unpack-worker.js')],
  };
}

const NODE = '/slipway/node';
const CODE = '/slipway/dist';

/** To give files owners, modes, setuid bits and capabilities, whoever owns them. */
const CAPABILITIES = ['CAP_CHOWN', 'CAP_DAC_OVERRIDE', 'CAP_FOWNER', 'CAP_FSETID', 'CAP_SETFCAP'];

/** It tells Node that the program is a module. */
function packageFile(): string {
  let dir = dirname(PROGRAM);
  while (!existsSync(join(dir, 'package.json')) && dir !== dirname(dir)) dir = dirname(dir);
  return join(dir, 'package.json');
}

/**
 * A process that reads the same tars as its owner and writes the files, while the owner hashes them. What it says is not trusted: it is the one
 * that a hostile archive would have to deceive.
 */
export class RemoteWriter {
  readonly #child: ReturnType<typeof spawnConfined>;
  readonly #closed: Promise<void>;
  #failure: { readonly error: unknown } | undefined;
  #underWay = 0;
  #wake: () => void = () => {};
  #expected:
    | { readonly is: 'ready' | 'written'; readonly resolve: () => void; readonly reject: (error: unknown) => void }
    | undefined;
  #line: Buffer[] = [];
  #answered = 0;
  #attributes: FileXattrs[] = [];
  #stderr = '';

  private constructor({ confinement, command }: WriterProgram) {
    const child = spawnConfined(confinement, command);
    this.#child = child;
    child.stdin.on('error', () => {}); // `close` tells why
    child.stdout.on('data', (chunk: Buffer) => this.#receive(chunk));
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr = (this.#stderr + text).slice(-STDERR_KEPT);
    });
    this.#closed = new Promise((resolve) => {
      child.once('error', (error) => {
        this.#fail(error);
        resolve();
      });
      child.once('close', () => {
        const why = printable(this.#stderr.trim().split('\n').at(-1) || 'it was ended');
        this.#fail(new SlipwayError('E_INTERNAL', `the process that writes files ended early: ${why}`));
        resolve();
      });
    });
  }

  /** @throws the reason, in one line, why the program cannot be used here. */
  static async start(program: WriterProgram): Promise<RemoteWriter> {
    const writer = new RemoteWriter(program);
    try {
      await writer.#expect('ready');
      return writer;
    } catch (error) {
      await writer.close();
      throw new Error(errnoOf(error) === 'ENOENT' ? 'bwrap is not installed' : writer.#stderr.trim() || String(error));
    }
  }

  /** Begins a task; the tar follows. */
  begin(task: WriterTask): void {
    this.#answered = 0;
    this.#attributes = [];
    this.#send(FRAME.task, Buffer.from(JSON.stringify(task)));
  }

  /**
   * Sends a piece of the tar, which must not be changed any more; waits while too much is on its way. Throws what went wrong in the writer.
   */
  async write(chunk: Buffer): Promise<void> {
    this.#send(FRAME.tar, chunk);
    while (this.#underWay > WINDOW && this.#failure === undefined) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    if (this.#failure !== undefined) throw this.#failure.error;
  }

  /** True while pieces wait for a turn of the event loop to be sent. */
  get busy(): boolean {
    return this.#underWay > 0;
  }

  /** Ends the tar and waits until everything is written. Gives the attributes that the writer may not set. */
  async finish(): Promise<readonly FileXattrs[]> {
    this.#send(FRAME.end, Buffer.alloc(0));
    await this.#expect('written');
    return this.#attributes;
  }

  /** Ends the process, whatever it is doing. Nothing is written any more once this is over. */
  async close(): Promise<void> {
    this.#child.kill('SIGKILL');
    // Standard output is closed when the last process of the namespace has ended, and not only bwrap.
    await this.#closed;
  }

  #send(kind: FrameKind, bytes: Buffer): void {
    const { stdin } = this.#child;
    this.#underWay += bytes.length;
    stdin.cork();
    stdin.write(frameHeader(kind, bytes.length));
    stdin.write(bytes, () => {
      this.#underWay -= bytes.length;
      this.#wake();
    });
    stdin.uncork();
  }

  async #expect(is: 'ready' | 'written'): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure.error;
    await new Promise<void>((resolve, reject) => {
      this.#expected = { is, resolve, reject };
    });
  }

  #receive(chunk: Buffer): void {
    this.#answered += chunk.length;
    if (this.#answered > MOST_ANSWERS) {
      this.#fail(unsafeArchive('it sets too many extended attributes'));
      this.#child.kill('SIGKILL');
      return;
    }
    let from = 0;
    for (let end = chunk.indexOf(10); end >= 0; end = chunk.indexOf(10, from)) {
      this.#line.push(chunk.subarray(from, end));
      this.#answer(Buffer.concat(this.#line).toString('utf8'));
      this.#line = [];
      from = end + 1;
    }
    if (from < chunk.length) this.#line.push(chunk.subarray(from));
  }

  #answer(line: string): void {
    const answer = parseAnswer(line);
    if (answer?.is === 'attributes') {
      this.#attributes.push(answer);
    } else if (answer?.is === 'failed') {
      this.#fail(errorOf(answer));
    } else if (answer !== undefined && answer.is === this.#expected?.is) {
      const { resolve } = this.#expected;
      this.#expected = undefined;
      resolve();
    } else {
      this.#fail(new SlipwayError('E_INTERNAL', 'the process that writes files said something strange'));
    }
  }

  /** The first failure is the one that counts. */
  #fail(error: unknown): void {
    this.#failure ??= { error };
    this.#expected?.reject(this.#failure.error);
    this.#expected = undefined;
    this.#wake();
  }
}

function parseAnswer(line: string): z.infer<typeof answerSchema> | undefined {
  try {
    return answerSchema.parse(JSON.parse(line));
  } catch {
    return undefined;
  }
}

function errorOf({
  code,
  slipway,
  message,
  hint,
}: {
  code?: string | undefined;
  slipway: boolean;
  message: string;
  hint?: string | undefined;
}): Error {
  if (!slipway) return Object.assign(new Error(printable(message)), code === undefined ? {} : { code });
  const known = code !== undefined && Object.hasOwn(ERROR_CODES, code) ? (code as ErrorCode) : 'E_INTERNAL';
  return new SlipwayError(known, printable(message), hint === undefined ? {} : { hint: printable(hint) });
}

/** Names in messages are quoted by whoever wrote them; a writer that was taken over need not. */
function printable(text: string): string {
  return text.replace(/[\0-\x1f\x7f]/g, ' ');
}

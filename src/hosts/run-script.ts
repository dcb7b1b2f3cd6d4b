import { Readable } from 'node:stream';
import { finished } from 'node:stream/promises';
import { isSlipwayError, messageOf, SlipwayError } from '../base/errors.js';
import { formatDuration } from '../base/format.js';
import type { CommandResult, RunOptions } from './host.js';
import { BoundedText, LastLines, textDecoder } from './output.js';
import { afterBegin, type RootSession, type RunningScript } from './root-session.js';
import { composeScript, titleOf } from './shell-script.js';
import type { ExitStatus } from './transport.js';

const DEFAULT_TIMEOUT_MS = 600_000;
/** After the script's end: how long its outputs may be silent and still open (a background process holds them). */
const QUIET_MS = 1000;
/** TERM, five seconds, KILL, and the way there and back. */
const STOP_MS = 10_000;

/**
 * Runs one script in a session, as {@link Host.run} says.
 * @throws SlipwayError E_HOST_COMMAND, E_HOST_AUTH (sudo refused), E_TIMEOUT, E_INTERRUPTED, E_HOST_UNREACHABLE
 */
export async function runScript(
  session: RootSession,
  { host, script, options }: { readonly host: string; readonly script: string; readonly options: RunOptions },
): Promise<CommandResult> {
  const title = options.title ?? titleOf(script);
  const run = new Run(host, title, options);
  try {
    return await run.go(session, composeScript(script, { env: options.env ?? {}, cwd: options.cwd }));
  } catch (error) {
    if (options.stdin instanceof Readable) options.stdin.destroy();
    if (options.stdout?.writableFinished === false) options.stdout.destroy();
    throw run.explain(error);
  }
}

class Run {
  readonly #host: string;
  readonly #title: string;
  readonly #options: RunOptions;
  readonly #stdout = new BoundedText();
  readonly #stderr = new BoundedText();
  readonly #last = new LastLines();
  readonly #started = Date.now();
  #touched = Date.now();

  constructor(host: string, title: string, options: RunOptions) {
    this.#host = host;
    this.#title = title;
    this.#options = options;
  }

  async go(session: RootSession, script: Buffer): Promise<CommandResult> {
    const { stdin, signal } = this.#options;
    signal?.throwIfAborted();
    const running = await session.start(script, { stdin: stdin !== undefined, signal });
    const guard = this.#guard();
    let over = false;
    const end = (): void => {
      over = true;
    };
    running.exited.then(end, end);
    try {
      const output = this.#collect(running);
      const broken = Promise.race([guard.tripped, failureOf(this.#feed(running, () => over)), output.failed]);
      const status = await Promise.race([running.exited, broken]);
      await Promise.race([this.#settle(running), broken]);
      if (!output.begun()) throw this.#notBegun(status);
      await Promise.race([output.finish(), broken]);
      if (status.code !== 0 && this.#options.allowFailure !== true) throw this.#failed(status);
      return { code: status.code, stdout: this.#stdout.text(), stderr: this.#stderr.text() };
    } catch (error) {
      if (!over) await stopped(running);
      throw error;
    } finally {
      guard.clear();
      if (stdin instanceof Readable) stdin.destroy();
      running.release();
    }
  }

  /** Anything that went wrong, as a SlipwayError that names host and command. */
  explain(error: unknown): unknown {
    const { signal } = this.#options;
    if (signal?.aborted === true && error === signal.reason) return this.#interrupted();
    if (!isSlipwayError(error, 'E_HOST_UNREACHABLE')) return error;
    const { message, hint, cause } = error;
    return new SlipwayError('E_HOST_UNREACHABLE', `${message}, while running ${this.#title}`, {
      ...(hint === undefined ? {} : { hint }),
      cause,
      details: { host: this.#host, title: this.#title },
    });
  }

  /** Both outputs to where they belong. */
  #collect(running: RunningScript): {
    readonly failed: Promise<never>;
    begun(): boolean;
    finish(): Promise<void>;
  } {
    const { stdout: sink } = this.#options;
    const text = (into: BoundedText, stream: 'stdout' | 'stderr') =>
      textDecoder((piece) => {
        into.push(piece);
        this.#last.push(piece, stream);
        this.#options.onOutput?.(piece, stream);
      });
    const out = text(this.#stdout, 'stdout');
    const err = text(this.#stderr, 'stderr');
    const toSink = (chunk: Buffer): void => {
      if (sink !== undefined && !sink.write(chunk)) {
        running.stdout.pause();
        sink.once('drain', () => running.stdout.resume());
      }
    };
    const begin = afterBegin(sink === undefined ? out.push : toSink);
    const touch = (): void => {
      this.#touched = Date.now();
    };
    running.stdout.on('data', (chunk: Buffer) => {
      touch();
      begin.push(chunk);
    });
    running.stderr.on('data', (chunk: Buffer) => {
      touch();
      err.push(chunk);
    });
    const failed = new Promise<never>((_, reject) => {
      sink?.once('error', (error) => reject(this.#given('its output could not be taken', error)));
      sink?.once('close', () => {
        if (!sink.writableFinished) reject(this.#given('its output could not be taken', 'the receiver was closed'));
      });
    });
    failed.catch(() => {});
    return {
      failed,
      begun: begin.begun,
      finish: async () => {
        out.end();
        err.end();
        if (sink === undefined) return;
        sink.end();
        await finished(sink, { readable: false });
      },
    };
  }

  /** Standard input to the script, until `over` says that nobody reads it any more. */
  async #feed(running: RunningScript, over: () => boolean): Promise<void> {
    const { stdin } = this.#options;
    if (!(stdin instanceof Readable)) {
      running.stdin.end(stdin);
      return;
    }
    const end = running.exited.then(
      () => {},
      () => {},
    );
    try {
      for await (const chunk of stdin) {
        if (over()) return;
        if (!running.stdin.write(chunk)) {
          await Promise.race([new Promise((resolve) => running.stdin.once('drain', resolve)), end]);
        }
        this.#touched = Date.now();
      }
    } catch (error) {
      throw error instanceof SlipwayError ? error : this.#given('its input failed', error);
    }
    running.stdin.end();
  }

  /** Waits for the outputs to end; when the script has ended and they stay open and silent, lets go of them. */
  async #settle(running: RunningScript): Promise<void> {
    const { stdout: sink } = this.#options;
    let over = false;
    const end = running.closed.then(() => {
      over = true;
    });
    let seen = -1;
    while (!over) {
      const held = running.stdout.readableLength > 0 || sink?.writableNeedDrain === true;
      if (!held && seen === this.#touched) return;
      seen = this.#touched;
      await Promise.race([end, delay(QUIET_MS)]);
    }
  }

  /** Watches the clock and the signal. */
  #guard(): { readonly tripped: Promise<never>; clear(): void } {
    const { timeoutMs = DEFAULT_TIMEOUT_MS, idleTimeoutMs = 0, signal } = this.#options;
    let clear = (): void => {};
    const tripped = new Promise<never>((_, reject) => {
      const timers: NodeJS.Timeout[] = [];
      const late = (what: string): void => {
        reject(
          new SlipwayError('E_TIMEOUT', this.#message(`${this.#title} ${what} and was ended`), {
            hint: 'look at the host for what it waits for, then run again',
            details: { host: this.#host, title: this.#title },
          }),
        );
      };
      if (timeoutMs > 0) {
        timers.push(setTimeout(() => late(`did not end within ${formatDuration(timeoutMs)}`), timeoutMs));
      }
      if (idleTimeoutMs > 0) {
        const check = (): void => {
          if (Date.now() - this.#touched >= idleTimeoutMs) late(`was silent for ${formatDuration(idleTimeoutMs)}`);
        };
        this.#touched = Date.now();
        timers.push(setInterval(check, Math.max(20, Math.min(1000, idleTimeoutMs / 4))));
      }
      const onAbort = (): void => reject(this.#interrupted());
      signal?.addEventListener('abort', onAbort, { once: true });
      if (signal?.aborted === true) onAbort();
      clear = () => {
        for (const timer of timers) clearTimeout(timer);
        signal?.removeEventListener('abort', onAbort);
      };
    });
    tripped.catch(() => {});
    return { tripped, clear: () => clear() };
  }

  #failed({ code, signal }: ExitStatus): SlipwayError {
    const how = signal === undefined ? `exit code ${code}` : `signal ${signal}`;
    return new SlipwayError('E_HOST_COMMAND', this.#message(`${this.#title} failed with ${how}`), {
      ...(code === 127 ? { hint: 'a program that it calls is not installed on the host, or not on PATH' } : {}),
      details: { host: this.#host, title: this.#title, exitCode: code },
    });
  }

  #notBegun({ code }: ExitStatus): SlipwayError {
    return new SlipwayError(
      'E_HOST_AUTH',
      this.#message(`no root shell for ${this.#title} (the login ended with exit code ${code})`),
      { hint: 'look at the sudo rules of the login user', details: { host: this.#host, title: this.#title } },
    );
  }

  #given(why: string, error: unknown): SlipwayError {
    return new SlipwayError(
      'E_HOST_COMMAND',
      `host ${this.#host}: ${this.#title} was ended: ${why}: ${messageOf(error)}`,
      {
        cause: error,
        details: { host: this.#host, title: this.#title },
      },
    );
  }

  #interrupted(): SlipwayError {
    return new SlipwayError('E_INTERRUPTED', `host ${this.#host}: ${this.#title} was interrupted and ended`, {
      cause: this.#options.signal?.reason,
      details: { host: this.#host, title: this.#title, afterMs: Date.now() - this.#started },
    });
  }

  #message(what: string): string {
    const lines = this.#last.lines();
    return `host ${this.#host}: ${what}${lines.length === 0 ? '' : `:\n  ${lines.join('\n  ')}`}`;
  }
}

/** Rejects when `work` does; never fulfils, whatever `work` does. */
function failureOf(work: Promise<void>): Promise<never> {
  return new Promise<never>((_, reject) => work.catch(reject));
}

/** Ends the script on the host and waits until it has ended, but not for ever. */
async function stopped(running: RunningScript): Promise<void> {
  running.stop();
  const end = running.exited.then(
    () => {},
    () => {},
  );
  await Promise.race([end, delay(STOP_MS)]);
}

function delay(milliseconds: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, milliseconds).unref();
  });
}

import { createWriteStream, type WriteStream } from 'node:fs';
import { join } from 'node:path';
import { finished } from 'node:stream/promises';
import { fileSystemError, messageOf } from '../../base/errors.js';
import { makeDirectory } from '../../base/make-directory.js';
import { redact } from '../../base/redact.js';
import type { Host, RunOptions } from '../../hosts/host.js';
import { LogOutput } from './log-output.js';

/**
 * The log of one host: every command that ran there, and what it printed, without secrets: see {@link LogOutput}.
 */
export class HostLog {
  readonly file: string;
  readonly #stream: WriteStream;
  readonly #open = new Map<string, LogOutput>();
  #failure: unknown;

  private constructor(file: string, stream: WriteStream) {
    this.file = file;
    this.#stream = stream;
    stream.on('error', (error) => {
      this.#failure ??= error;
    });
  }

  /** Opens `DIR/ADDRESS.log` for more lines. */
  static async open(dir: string, address: string): Promise<HostLog> {
    const file = join(dir, `${address.replaceAll(':', '_')}.log`);
    try {
      await makeDirectory(dir, 0o700);
    } catch (error) {
      throw fileSystemError(error, `making ${dir}`);
    }
    return new HostLog(file, createWriteStream(file, { flags: 'a', mode: 0o600 }));
  }

  /** A line of our own, with the time. */
  note(text: string): void {
    this.#stream.write(`${new Date().toISOString()} ${redact(text)}\n`);
  }

  /** Output of a command; `source` keeps the lines of several commands apart. */
  output(text: string, source: string): void {
    let open = this.#open.get(source);
    if (open === undefined) {
      open = new LogOutput((line) => this.#stream.write(`  ${line}\n`));
      this.#open.set(source, open);
    }
    open.push(text);
  }

  /** Writes what a command left without a line end, and the end of what was too much. */
  flush(source: string): void {
    this.#open.get(source)?.end();
    this.#open.delete(source);
  }

  /** Ends the log. A log that could not be written is no reason to fail: it is told. */
  async close(): Promise<string | undefined> {
    for (const source of [...this.#open.keys()]) this.flush(source);
    this.#stream.end();
    await finished(this.#stream).catch(() => {});
    return this.#failure === undefined ? undefined : `${this.file}: ${messageOf(this.#failure)}`;
  }
}

/** The same host, with every command written to `log`. */
export function loggedHost(host: Host, log: HostLog): Host {
  let commands = 0;
  return {
    address: host.address,
    local: host.local,
    async run(script, options = {}) {
      const source = String(commands++);
      log.note(`$ ${options.title ?? firstLine(script)}`);
      try {
        const result = await host.run(script, { ...options, onOutput: tee(log, source, options) });
        if (result.code !== 0) log.note(`  exit code ${result.code}`);
        return result;
      } catch (error) {
        log.note(`  failed: ${messageOf(error).split('\n', 1)[0]}`);
        throw error;
      } finally {
        log.flush(`${source}stdout`);
        log.flush(`${source}stderr`);
      }
    },
    async writeFile(path, content, options) {
      log.note(`> ${path}`);
      await host.writeFile(path, content, options);
    },
    readFile: (path) => host.readFile(path),
    exists: (path) => host.exists(path),
    facts: (options) => host.facts(options),
    close: () => host.close(),
  };
}

function tee(log: HostLog, source: string, { onOutput }: RunOptions): NonNullable<RunOptions['onOutput']> {
  return (text, stream) => {
    log.output(text, source + stream);
    onOutput?.(text, stream);
  };
}

function firstLine(script: string): string {
  return script.trim().split('\n', 1)[0]?.slice(0, 200) ?? '';
}

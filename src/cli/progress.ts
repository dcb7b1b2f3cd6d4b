import { formatBytes, formatDuration } from '../base/format.js';
import { redact } from '../base/redact.js';
import type { ProgressTask, Reporter } from '../base/reporter.js';
import { terminalSafe } from './output.js';

export type ProgressMode = 'auto' | 'plain' | 'tty' | 'none';

export interface ReporterOptions {
  readonly mode: ProgressMode;
  readonly quiet: boolean;
  readonly debug: boolean;
}

/** A reporter that can be ended: the live display is taken off the screen. */
export interface CliReporter extends Reporter {
  close(): void;
}

interface LiveTask {
  readonly name: string;
  readonly total: number | undefined;
  readonly started: number;
  done: number;
}

const FRAME_MS = 100;
const MOST_LIVE_LINES = 8;
/** How often a task is told to go on where there is no terminal. */
const STILL_MS = 30_000;

/** Everything a person is told while work goes on; on standard error, so that standard output is only results. */
export function createReporter(
  { mode, quiet, debug }: ReporterOptions,
  stream: NodeJS.WriteStream = process.stderr,
): CliReporter {
  const live = mode === 'tty' || (mode === 'auto' && stream.isTTY === true && !quiet && process.env.TERM !== 'dumb');
  const silent = quiet || mode === 'none';
  const display = live ? new LiveDisplay(stream) : undefined;
  const plain = new Set<NodeJS.Timeout>();
  const say = (line: string): void => {
    const text = terminalSafe(redact(line));
    if (display === undefined) stream.write(`${text}\n`);
    else display.print(text);
  };
  return {
    info: (line) => {
      if (!silent) say(line);
    },
    warn: (line) => say(`${style(stream, '33', 'warning:')} ${line}`),
    debug: (line) => {
      if (debug) say(`debug: ${line}`);
    },
    task: (name, total) => {
      if (display !== undefined) return display.task(terminalSafe(redact(name)), total);
      return plainTask({ name, total, say: silent ? () => {} : say, timers: plain });
    },
    close: () => {
      display?.close();
      for (const timer of plain) clearInterval(timer);
    },
  };
}

interface PlainTask {
  readonly name: string;
  readonly total: number | undefined;
  readonly say: (line: string) => void;
  /** Those that run: ended by the task, or with the reporter. */
  readonly timers: Set<NodeJS.Timeout>;
}

/** Where there is no terminal a task is one line, when it ends; one that takes long says now and then that it goes on. */
function plainTask({ name, total, say, timers }: PlainTask): ProgressTask {
  const began = Date.now();
  let bytes = 0;
  const timer = setInterval(() => {
    const done = bytes > 0 ? ` (${formatBytes(bytes)}${total === undefined ? '' : ` of ${formatBytes(total)}`})` : '';
    say(`${name} … ${formatDuration(Date.now() - began)}${done}`);
  }, STILL_MS).unref();
  timers.add(timer);
  const end = (line: string): void => {
    clearInterval(timer);
    timers.delete(timer);
    say(line);
  };
  return {
    advance: (more) => {
      bytes += more;
    },
    done: (note) => end(`${name}: ${note ?? `done${bytes > 0 ? ` (${formatBytes(bytes)})` : ''}`}`),
    fail: (note) => end(`${name}: ${note ?? 'failed'}`),
  };
}

/** A few lines at the bottom of the terminal, drawn again ten times a second; finished tasks become ordinary lines above. */
class LiveDisplay {
  readonly #stream: NodeJS.WriteStream;
  readonly #tasks = new Set<LiveTask>();
  #drawn = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(stream: NodeJS.WriteStream) {
    this.#stream = stream;
  }

  print(line: string): void {
    this.#erase();
    this.#stream.write(`${line}\n`);
    this.#draw();
  }

  task(name: string, total: number | undefined): ProgressTask {
    const task: LiveTask = { name, total, started: Date.now(), done: 0 };
    this.#tasks.add(task);
    this.#timer ??= setInterval(() => {
      this.#erase();
      this.#draw();
    }, FRAME_MS).unref();
    const end = (line: string): void => {
      this.#tasks.delete(task);
      this.print(line);
      if (this.#tasks.size === 0) this.#stop();
    };
    return {
      advance: (bytes) => {
        task.done += bytes;
      },
      done: (note) => end(`${name}: ${note ?? `done${task.done > 0 ? ` (${formatBytes(task.done)})` : ''}`}`),
      fail: (note) => end(`${name}: ${note ?? 'failed'}`),
    };
  }

  close(): void {
    this.#erase();
    this.#stop();
  }

  #stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #erase(): void {
    if (this.#drawn > 0) this.#stream.write(`\u001b[${this.#drawn}A\u001b[J`);
    this.#drawn = 0;
  }

  #draw(): void {
    const width = Math.max(20, this.#stream.columns ?? 80);
    const lines = [...this.#tasks].slice(0, MOST_LIVE_LINES).map((task) => figure(task).slice(0, width - 1));
    if (lines.length > 0) this.#stream.write(`${lines.join('\n')}\n`);
    this.#drawn = lines.length;
  }
}

function figure({ name, total, done, started }: LiveTask): string {
  const seconds = (Date.now() - started) / 1000;
  const rate = seconds > 0.2 ? done / seconds : 0;
  const speed = rate > 0 ? `  ${formatBytes(rate)}/s` : '';
  if (total === undefined || total === 0) return `${name}: ${done > 0 ? formatBytes(done) : '…'}${speed}`;
  const left = rate > 0 ? `  ${Math.ceil(Math.max(0, total - done) / rate)}s left` : '';
  return `${name}: ${formatBytes(done)} of ${formatBytes(total)} (${Math.floor((100 * done) / total)}%)${speed}${left}`;
}

/** Colours a text, when the stream is a terminal and NO_COLOR (https://no-color.org) is not set. */
export function style(stream: NodeJS.WriteStream, code: string, text: string): string {
  return stream.isTTY === true && !process.env.NO_COLOR ? `\u001b[${code}m${text}\u001b[0m` : text;
}

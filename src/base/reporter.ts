/**
 * How work tells a person what it is doing. Rooms below the CLI only ever talk to this interface; the CLI decides
 * whether it becomes a live display, plain lines or nothing.
 */
export interface Reporter {
  /** A line worth keeping, such as `=> [2/4] COPY etc .`. */
  info(line: string): void;
  /** Something that is not an error and that the person should know. */
  warn(line: string): void;
  /** Detail that only `--debug` shows. */
  debug(line: string): void;
  /** A unit of work with a beginning and an end; `total` in bytes when it is known. */
  task(name: string, total?: number): ProgressTask;
}

export interface ProgressTask {
  /** `bytes` more are done. */
  advance(bytes: number): void;
  /** The work is over; `note` replaces the progress figure (`exists`, `cached` …). */
  done(note?: string): void;
  fail(note?: string): void;
}

const silentTask: ProgressTask = { advance() {}, done() {}, fail() {} };

/** Says nothing. */
export const silentReporter: Reporter = { info() {}, warn() {}, debug() {}, task: () => silentTask };

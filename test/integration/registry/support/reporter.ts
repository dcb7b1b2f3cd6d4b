import type { Reporter } from '../../../../src/base/reporter.js';

/** Keeps what it is told. */
export class RecordingReporter implements Reporter {
  readonly warnings: string[] = [];
  readonly details: string[] = [];
  readonly tasks: { readonly name: string; bytes: number; note: string | undefined; failed: boolean }[] = [];

  info(line: string): void {
    this.details.push(line);
  }

  warn(line: string): void {
    this.warnings.push(line);
  }

  debug(line: string): void {
    this.details.push(line);
  }

  task(name: string): ReturnType<Reporter['task']> {
    const task = { name, bytes: 0, note: undefined as string | undefined, failed: false };
    this.tasks.push(task);
    return {
      advance: (bytes) => {
        task.bytes += bytes;
      },
      done: (note) => {
        task.note = note;
      },
      fail: () => {
        task.failed = true;
      },
    };
  }
}

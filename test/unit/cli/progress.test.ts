import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { createReporter, type ProgressMode } from '../../../src/cli/progress.js';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

/** A reporter, and the lines that it has written. */
function reporting(mode: ProgressMode, quiet = false) {
  const lines: string[] = [];
  const stream = { isTTY: false, write: (text: string) => lines.push(text) } as unknown as NodeJS.WriteStream;
  return { lines, reporter: createReporter({ mode, quiet, debug: false }, stream) };
}

describe('a task without a terminal', () => {
  it('is a line at its end, and now and then one more while it takes long', () => {
    const { lines, reporter } = reporting('auto');
    const task = reporter.task('[distribute] 10.0.0.3 send the files');
    vi.advanceTimersByTime(29_000);
    expect(lines).toEqual([]);
    vi.advanceTimersByTime(61_000);
    task.done('1m30s');
    vi.advanceTimersByTime(90_000);
    expect(lines).toEqual([
      '[distribute] 10.0.0.3 send the files … 30.0s\n',
      '[distribute] 10.0.0.3 send the files … 1m00s\n',
      '[distribute] 10.0.0.3 send the files … 1m30s\n',
      '[distribute] 10.0.0.3 send the files: 1m30s\n',
    ]);
  });

  it('says how far it is', () => {
    const { lines, reporter } = reporting('plain');
    const [known, unknown] = [reporter.task('layer', 40_000_000), reporter.task('answer')];
    known.advance(12_000_000);
    unknown.advance(1000);
    vi.advanceTimersByTime(30_000);
    expect(lines).toEqual(['layer … 30.0s (12MB of 40MB)\n', 'answer … 30.0s (1kB)\n']);
  });

  it('says no more when it has failed, or the command is at its end', () => {
    const { lines, reporter } = reporting('plain');
    reporter.task('one').fail();
    reporter.task('other');
    reporter.close();
    vi.advanceTimersByTime(90_000);
    expect(lines).toEqual(['one: failed\n']);
  });

  it.each([
    ['none', false],
    ['auto', true],
  ] as const)('with --progress %s and quiet %s says nothing', (mode, quiet) => {
    const { lines, reporter } = reporting(mode, quiet);
    const task = reporter.task('one');
    vi.advanceTimersByTime(90_000);
    task.done();
    expect(lines).toEqual([]);
  });
});

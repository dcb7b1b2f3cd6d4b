import { execFileSync } from 'node:child_process';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { commandScript, commonCode, type ExecResult } from '../../../src/install/exec-on-hosts.js';

const ended = (...codes: readonly (number | null)[]): ExecResult[] =>
  codes.map((code, index) => ({
    host: `10.0.0.${index}`,
    code,
    stdout: '',
    stderr: '',
    error: code === null ? 'gone' : null,
  }));

describe('a command for hosts', () => {
  it('is a line for the shell when it is one word', () => {
    expect(commandScript(['echo $HOME | wc -c'])).toBe('echo $HOME | wc -c');
  });

  it('is a program with exactly these arguments when it is several', () => {
    fc.assert(
      fc.property(fc.array(fc.string({ unit: 'binary' }).map((text) => text.replaceAll('\0', ''))), (args) => {
        const script = commandScript(['printf', '%s\\0', ...args]);
        const printed = execFileSync('sh', ['-c', script]).toString();
        expect(printed).toBe(args.length === 0 ? '\0' : `${args.join('\0')}\0`);
      }),
      { numRuns: 50 },
    );
  });

  it('ends with the code that all hosts agree on, else with 1', () => {
    expect(commonCode(ended(0, 0))).toBe(0);
    expect(commonCode(ended(3, 3, 3))).toBe(3);
    expect(commonCode(ended(3, 0))).toBe(1);
    expect(commonCode(ended(0, null))).toBe(1);
    expect(commonCode(ended(null))).toBe(1);
  });
});

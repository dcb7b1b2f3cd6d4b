import { describe, expect, it } from 'vitest';
import { registerSecret } from '../../../src/base/redact.js';
import { LogOutput } from '../../../src/install/cluster-hosts/log-output.js';

function logged(pieces: Iterable<string>, limits?: { most: number; longestLine: number }): string[] {
  const lines: string[] = [];
  const output = new LogOutput((line) => lines.push(line), limits);
  for (const piece of pieces) output.push(piece);
  output.end();
  return lines;
}

describe('the output of a command in a log', () => {
  it('is whole lines, however its pieces come', () => {
    expect(logged(['one\ntw', 'o\n', '\nthree'])).toEqual(['one', 'two', '', 'three']);
    expect(logged([])).toEqual([]);
  });

  it('has its beginning and its end when it is too long, and says how much is not there', () => {
    const numbers = Array.from({ length: 1000 }, (_, index) => `line ${index}\n`);
    const lines = logged(numbers, { most: 100, longestLine: 50 });
    const gap = lines.findIndex((line) => line.startsWith('[…'));
    expect(lines[0]).toBe('line 0');
    expect(lines.at(-1)).toBe('line 999');
    const kept = lines.filter((_, index) => index !== gap).map((line) => line.length + 1);
    const dropped = Number(/\d+/.exec(lines[gap] ?? '')?.[0]);
    expect(kept.reduce((sum, length) => sum + length, dropped)).toBe(numbers.join('').length);
    expect(lines.length).toBeLessThan(50);
  });

  it('has lines that are not too long either, and no half of a secret', () => {
    registerSecret('sesame-sesame');
    const limits = { most: 1000, longestLine: 20 };
    expect(logged(['x'.repeat(50), 'y\nnext\n'], limits)).toEqual([`${'x'.repeat(20)} [… 31 more characters]`, 'next']);
    expect(logged(['0123456789 sesame-se', 'same\n'], limits)).toEqual(['0123456789  [… 13 more characters]']);
    expect(logged(['say sesa', 'me-sesame\n'], limits)).toEqual(['say ***']);
  });
});

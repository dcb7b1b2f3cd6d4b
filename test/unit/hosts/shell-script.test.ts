import { execFileSync } from 'node:child_process';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { composeScript, shellQuote, titleOf } from '../../../src/hosts/shell-script.js';

const text = fc.string({ unit: 'grapheme', maxLength: 40 }).map((value) => value.replaceAll('\0', ''));

describe('shell scripts', () => {
  it('carry any words and values unharmed through a real shell', () => {
    fc.assert(
      fc.property(fc.array(text, { minLength: 1, maxLength: 10 }), text, (words, value) => {
        const script = composeScript(`printf '%s\\0' ${words.map(shellQuote).join(' ')} "$VALUE"`, {
          env: { VALUE: value },
        });
        const output = execFileSync('sh', { input: script }).toString();
        expect(output.split('\0')).toEqual([...words, value, '']);
      }),
      { numRuns: 40 },
    );
  });

  it('refuse what a shell cannot hold', () => {
    expect(() => shellQuote('a\0b')).toThrow('NUL');
    expect(() => composeScript('a\0b')).toThrow('NUL');
    for (const name of ['', '1A', 'A-B', 'A=B', 'A B', 'é', 'A\nB'])
      expect(() => composeScript('true', { env: { [name]: '' } })).toThrow('cannot be exported');
  });

  it('are named after their first line that says something', () => {
    expect(titleOf('\n# comment\nset -eu\n  systemctl restart kubelet\nfoo')).toBe('systemctl restart kubelet');
    expect(titleOf('# nothing')).toBe('script');
    expect(titleOf('x'.repeat(200))).toHaveLength(80);
  });
});

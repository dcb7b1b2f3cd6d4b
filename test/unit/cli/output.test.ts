import { describe, expect, it } from 'vitest';
import { ago } from '../../../src/cli/ago.js';
import { defaultRoot } from '../../../src/cli/context.js';
import { registryHost } from '../../../src/cli/login.js';
import { formatTable, printable, printableJson, terminalSafe } from '../../../src/cli/output.js';
import { readCredential } from '../../../src/cli/registry-flags.js';

describe('text on the terminal', () => {
  it('aligns columns and ends no line in blanks', () => {
    expect(
      formatTable([
        ['NAME', 'SIZE'],
        ['a-long-name', '1B'],
        ['b', ''],
      ]),
    ).toEqual(['NAME          SIZE', 'a-long-name   1B', 'b']);
  });

  it('never lets what images and hosts say drive the terminal', () => {
    expect(printable('a\u001b[31mred\nb\tc\u0007')).toBe('a\\x1b[31mred\\nb\\tc\\x07');
    // a byte that is not UTF-8, as path-bytes.ts keeps it
    expect(printable('caf\udce9')).toBe('caf\\xe9');
    expect(printable('日本 é 🐳 💀')).toBe('日本 é 🐳 💀');
  });

  it.each([
    ['\u202egnp.exe', '\\u202egnp.exe'],
    ['a\u2066b\u2069', 'a\\u2066b\\u2069'],
    ['pay\u200bpal', 'pay\\u200bpal'],
    ['\u009b31m', '\\x9b31m'],
    ['a\u00adb\ufeff', 'a\\xadb\\ufeff'],
    ['line\u2028end', 'line\\u2028end'],
    ['tag\u{e0041}', 'tag\\u{e0041}'],
  ])('shows what changes the look of a text, or is not seen: %j', (text, shown) => {
    expect(printable(text)).toBe(shown);
    expect(terminalSafe(`\u001b[31m${text}`)).toBe(`\u001b[31m${shown}`);
    const json = printableJson(JSON.stringify({ text }));
    expect(json).toMatch(/^[ -~]*$/);
    expect(JSON.parse(json)).toEqual({ text });
  });

  it.each([
    [0, '0 seconds ago'],
    [1, '1 second ago'],
    [90, '1 minute ago'],
    [7200, '2 hours ago'],
    [86400 * 400, '1 year ago'],
  ])('%d seconds are %s', (seconds, text) => {
    const now = Date.parse('2026-01-01T00:00:00Z');
    expect(ago(new Date(now - seconds * 1000).toISOString(), now)).toBe(text);
  });
});

describe('where the store is', () => {
  it.each([
    [{ SLIPWAY_ROOT: '/x' }, 0, '/x'],
    [{}, 0, '/var/lib/slipway'],
    [{ XDG_DATA_HOME: '/data' }, 1000, '/data/slipway'],
  ])('%j as %d: %s', (env, uid, root) => {
    expect(defaultRoot(env, uid)).toBe(root);
  });
});

describe('who one is at a registry', () => {
  it.each([
    [{ password: 'x' }, 'a password without --username'],
    [{ username: 'a' }, '--username without a password'],
    [{ username: 'a', password: 'x', passwordStdin: true }, 'exclude each other'],
  ])('%j: %s', (flags, message) => {
    expect(() => readCredential(flags)).toThrowError(
      expect.objectContaining({ code: 'E_USAGE', message: expect.stringContaining(message) }),
    );
  });

  it('is for the host of whatever is written', () => {
    expect(['https://index.docker.io/v1/', 'localhost:5000', 'https://r.example.com/x'].map(registryHost)).toEqual([
      'docker.io',
      'localhost:5000',
      'r.example.com',
    ]);
  });
});

import { describe, expect, it } from 'vitest';
import { compilePattern, hasWildcard, unescapePattern } from '../../../src/build/context/wildcard.js';

describe('compilePattern follows Go filepath.Match, and ** crosses directories', () => {
  it.each([
    ['*', 'abc', true],
    ['*', 'a/b', false],
    ['*', '.hidden', true],
    ['a?c', 'abc', true],
    ['a?c', 'a/c', false],
    ['[a-c]x', 'bx', true],
    ['[^a-c]x', 'bx', false],
    ['[^a-c]x', 'zx', true],
    ['[!a]x', '!x', true],
    ['[\\]]x', ']x', true],
    ['a\\*b', 'a*b', true],
    ['a\\*b', 'axb', false],
    ['**/x', 'x', true],
    ['**/x', 'a/b/x', true],
    ['a/**', 'a/b/c', true],
    ['a/**/z', 'a/z', true],
    ['a/**/z', 'a/b/c/z', true],
    ['rootfs/*', 'rootfs/etc', true],
    ['rootfs/*', 'rootfs/etc/x', false],
    ['a+b(c)', 'a+b(c)', true],
    ['[a', '[a', undefined],
    ['a\\', 'a', undefined],
    ['[]a]', ']', undefined],
    ['[z-a]', 'b', undefined],
  ])('%s on %s: %s', (pattern, name, expected) => {
    expect(compilePattern(pattern)?.test(name)).toBe(expected);
  });

  it('knows a pattern from a name', () => {
    expect([hasWildcard('a*'), hasWildcard('a\\*'), hasWildcard('a[b'), hasWildcard('plain')]).toEqual([
      true,
      false,
      true,
      false,
    ]);
    expect(unescapePattern('a\\*b')).toBe('a*b');
  });
});

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compileIgnorePattern } from '../../../src/build/context/ignore-pattern.js';
import { parseIgnoreRules } from '../../../src/build/context/ignore-rules.js';

const ignores = (text: string, path: string): boolean => parseIgnoreRules(text, '.dockerignore').ignores(path);

describe('a line of an ignore file', () => {
  it.each([
    // https://docs.docker.com/build/concepts/context/#syntax
    ['*/temp*', { hides: ['dir/temporary.txt', 'dir/temp', 'dir/temp/x'], shows: ['temp', 'a/b/temp', 'dir/xtemp'] }],
    ['*/*/temp*', { hides: ['a/b/temporary.txt'], shows: ['a/temp', 'temp'] }],
    ['temp?', { hides: ['tempa', 'tempb/x'], shows: ['temp', 'tempab', 'a/tempa', 'temp/'] }],
    ['**/*.go', { hides: ['x.go', 'a/x.go', 'a/b/c/x.go'], shows: ['x.gox', 'xgo'] }],
    ['**', { hides: ['a', 'a/b', '.hidden'], shows: [] }],
    ['/foo/bar/', { hides: ['foo/bar', 'foo/bar/x'], shows: ['bar', 'x/foo/bar'] }],
    ['foo/bar', { hides: ['foo/bar'], shows: ['foo', 'foo/barx'] }],
    ['./a/../b', { hides: ['b', 'b/c'], shows: ['a'] }],
    ['../a', { hides: [], shows: ['a'] }],
    ['.', { hides: [], shows: ['a', 'a/b'] }],
    ['/', { hides: [], shows: ['a'] }],
    ['  a b\t', { hides: ['a b'], shows: ['a', ' a b'] }],
    ['\u00a0a\u3000\r', { hides: ['a'], shows: [] }],
    ['#a', { hides: [], shows: ['#a', 'a'] }],
    [' #a', { hides: ['#a'], shows: ['a'] }],
    ['\\#a', { hides: ['#a'], shows: ['\\#a'] }],
    ['\\!a', { hides: ['!a'], shows: ['a'] }],
    ['a\\*', { hides: ['a*'], shows: ['ab'] }],
    ['[a-c]x', { hides: ['ax', 'cx'], shows: ['dx', '-x'] }],
    ['[^a-c]x', { hides: ['dx'], shows: ['ax'] }],
    ['[!a]', { hides: ['!', 'a'], shows: ['b'] }],
    ['[\\]\\-]', { hides: [']', '-'], shows: ['\\'] }],
    ['[*?.$]', { hides: ['*', '?', '.', '$'], shows: ['a', ''] }],
    // What regular expressions would read otherwise
    ['c++', { hides: ['c++', 'c++/x'], shows: ['ccc', 'c'] }],
    ['dir (copy)', { hides: ['dir (copy)/a'], shows: ['dir copy'] }],
    ['a{1}|b', { hides: ['a{1}|b'], shows: ['a', 'b'] }],
    ['^a$*', { hides: ['^a$', '^a$x'], shows: ['a'] }],
    ['a.b', { hides: ['a.b'], shows: ['axb'] }],
    ['ä?', { hides: ['äö', 'ä😀'], shows: ['ä', 'äöö'] }],
    ['**/a/**', { hides: ['a/b', 'x/a/b/c'], shows: ['a', 'x/a', 'xa/b'] }],
    ['a/**/b', { hides: ['a/b', 'a/x/y/b'], shows: ['a/xb', 'ab'] }],
    ['a**', { hides: ['a', 'ab', 'ab/c'], shows: ['ba'] }],
    ['**.log', { hides: ['a.log', 'd/a.log', '.log'], shows: ['a.logs'] }],
    ['a/**', { hides: ['a/b', 'a/b/c'], shows: ['a', 'b/a/c'] }],
    ['*', { hides: ['a', 'a/b', '.x'], shows: [] }],
  ])('%s', (line, { hides, shows }) => {
    for (const path of hides) expect([path, ignores(line, path)]).toEqual([path, true]);
    for (const path of shows) expect([path, ignores(line, path)]).toEqual([path, false]);
  });

  it.each(['[a', '[]', '[]a]', '[a-]', '[-a]', '[^]', '[z-a]', 'a\\', '!', '! ', 'ok/[', '!x['])(
    '%s is refused with its line',
    (line) => {
      expect(() => ignores(`fine\n${line}\n`, 'a')).toThrow(/^\.dockerignore:2: .* is not a pattern/);
    },
  );
});

describe('lines together', () => {
  it('the last one that names the path or something above it decides', () => {
    const text = '*\n!a\na/b\n!a/b/c\n!**/keep\n';
    expect(
      ['x', 'a', 'a/x', 'a/b', 'a/b/x', 'a/b/c', 'a/b/c/d', 'x/keep', 'x/keep/y'].map((p) => ignores(text, p)),
    ).toEqual([true, false, false, true, true, false, false, false, false]);
    expect(ignores('a\n!a/b\na\n', 'a/b')).toBe(true);
    expect(ignores('!a\na', 'a')).toBe(true);
    expect(ignores('*.md\n!README*.md\nREADME-secret.md', 'README-secret.md')).toBe(true);
    expect(ignores('*.md\n!README*.md\nREADME-secret.md', 'README-x.md')).toBe(false);
  });

  it('a byte order mark, comments and empty lines hide nothing', () => {
    const text = '\uFEFFa\n\n   \n# b\n\t!  /c/ \n';
    expect(ignores(text, 'a')).toBe(true);
    expect(ignores(text, 'b')).toBe(false);
    expect(ignores(`*\n${text}`, 'c/d')).toBe(false);
  });

  it('what is hidden whole is told to be so', () => {
    const rules = parseIgnoreRules('node_modules\n**/cache\nout\n!out/keep\n!a/*/c\n!*/*.md\n', '.dockerignore');
    expect(rules.mayExceptBelow('node_modules')).toBe(true); // node_modules/x.md
    expect(rules.mayExceptBelow('node_modules/x')).toBe(false);
    expect(rules.mayExceptBelow('a/cache')).toBe(true); // a/cache/c
    expect(rules.mayExceptBelow('b/x/cache')).toBe(false);
    expect(rules.mayExceptBelow('out/x')).toBe(false);
    expect(parseIgnoreRules('!x/y\nx', 'f').mayExceptBelow('x')).toBe(false);
    expect(parseIgnoreRules('x\n!**/y', 'f').mayExceptBelow('x/z/z')).toBe(true);
  });
});

const part = fc.constantFrom('a', 'b', 'ab', '*', '**', '?', 'a*', '*b', '[ab]', '[^a]', '**b', 'a**', '\\a', '.');
const line = fc
  .tuple(fc.constantFrom('', '!'), fc.array(part, { minLength: 1, maxLength: 4 }))
  .map(([sign, parts]) => sign + parts.join('/'));
const path = fc
  .array(fc.constantFrom('a', 'b', 'ab', 'c'), { minLength: 1, maxLength: 5 })
  .map((names) => names.join('/'));

describe('whatever the lines', () => {
  it('a directory that need not be read holds nothing that is shown', () => {
    fc.assert(
      fc.property(fc.array(line, { maxLength: 6 }), path, path, (lines, dir, below) => {
        const rules = parseIgnoreRules(lines.join('\n'), 'f');
        fc.pre(rules.ignores(dir) && !rules.mayExceptBelow(dir));
        expect(rules.ignores(`${dir}/${below}`)).toBe(true);
      }),
      { numRuns: 2000 },
    );
  });

  it('answers do not depend on what was asked before', () => {
    fc.assert(
      fc.property(fc.array(line, { maxLength: 6 }), fc.array(path, { maxLength: 8 }), (lines, paths) => {
        const text = lines.join('\n');
        const rules = parseIgnoreRules(text, 'f');
        for (const asked of paths) expect(rules.ignores(asked)).toBe(ignores(text, asked));
      }),
    );
  });

  it('an escaped name names itself and nothing else', () => {
    fc.assert(
      fc.property(fc.string({ minLength: 1, unit: 'grapheme' }), fc.string({ minLength: 1 }), (name, other) => {
        fc.pre(!name.includes('/'));
        const pattern = compileIgnorePattern(Array.from(name, (character) => `\\${character}`).join(''));
        expect(pattern?.matches(name)).toBe(true);
        expect(pattern?.matches(other)).toBe(name === other);
      }),
    );
  });
});

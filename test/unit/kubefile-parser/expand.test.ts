import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { expandHeredoc, expandToWords, expandWord } from '../../../src/kubefile-parser/expand.js';

const VALUES: Readonly<Record<string, string>> = {
  PWD: '/home',
  V: 'v1.29.2',
  EMPTY: '',
  FILE: 'a/b/c.tar.gz',
  STAR: '*',
  QUOTE: `it's "x" \\ $PWD`,
  SPACES: ' one  two ',
  GRÖẞE: 'xl',
};
const env = (name: string): string | undefined => (Object.hasOwn(VALUES, name) ? VALUES[name] : undefined);
const BACKSLASH = { escape: '\\' } as const;
const expanded = (word: string): string => expandWord(word, env, BACKSLASH).value;

describe('the value of a word', () => {
  test.each<[string, string]>([
    // quotes and escapes
    ['plain', 'plain'],
    ['', ''],
    ["a'b c'd", 'ab cd'],
    ["'$PWD \\ \"'", '$PWD \\ "'],
    ['"$PWD \'x\'"', "/home 'x'"],
    ['"a\\"b\\$c\\\\d\\e"', 'a"b$c\\d\\e'],
    ['a\\ b\\"c\\\'d\\e', 'a b"c\'de'],
    ['\\$PWD \\${PWD}', '$PWD ${PWD}'],
    ['\\\\$PWD', '\\/home'],
    ['end\\', 'end'],
    ['""', ''],
    // plain variables
    ['$PWD', '/home'],
    ['${PWD}x$PWD.y', '/homex/home.y'],
    ['$PWDx', ''],
    ['$GRÖẞE', 'xl'],
    ['a$', 'a$'],
    ['$.a $', '$.a $'],
    ['$1x ${12}y $@z $$', 'x y z '],
    ['$QUOTE', `it's "x" \\ $PWD`],
    ['$SPACES', ' one  two '],
    // - + ?
    ['${NO:-d}${NO-d}${EMPTY:-d}${EMPTY-d}${V:-d}${V-d}', 'dddv1.29.2v1.29.2'],
    ['${NO:+a}${NO+a}${EMPTY:+a}${EMPTY+a}${V:+a}${V+a}', 'aaa'],
    ['${V:?no}${V?no}${EMPTY?no}', 'v1.29.2v1.29.2'],
    ['${NO:-$PWD/${EMPTY:-${V}}}', '/home/v1.29.2'],
    ['${NO:-\'a}\'"b}"\\}c}d', 'a}b}}cd'],
    ['${NO:-}', ''],
    ['${V:+-${V}}', '-v1.29.2'],
    ['${NO:-a {b}', 'a {b'],
    // # %
    ['${V#v}', '1.29.2'],
    ['${V#*.}', '29.2'],
    ['${V##*.}', '2'],
    ['${V%.*}', 'v1.29'],
    ['${V%%.*}', 'v1'],
    ['${V#x}${V%x}', 'v1.29.2v1.29.2'],
    ['${V#?}${V%??}', '1.29.2v1.29'],
    ['${V#}${V##}${V%}${V%%}', 'v1.29.2v1.29.2v1.29.2v1.29.2'],
    ['${FILE##*/}', 'c.tar.gz'],
    ['${FILE%/*}', 'a/b'],
    ['${V##*}', ''],
    ['${STAR#\\*}${STAR#"*"}${STAR#\'*\'}', ''],
    ['${STAR#"$STAR"}', ''],
    ['${V##$STAR}', ''],
    ['${V##"$STAR"}', 'v1.29.2'],
    ['${V#${NO:-v}1}', '.29.2'],
    // /
    ['${V/./-}', 'v1-29.2'],
    ['${V//./-}', 'v1-29-2'],
    ['${V//./}', 'v1292'],
    ['${V/x/y}', 'v1.29.2'],
    ['${V/.*./-}', 'v1-2'],
    ['${V/*/all}', 'all'],
    ['${V//?/x}', 'xxxxxxx'],
    ['${FILE//\\//_}', 'a_b_c.tar.gz'],
    ['${FILE/b/\\/}', 'a/\\//c.tar.gz'],
    ['${FILE//${NO:-c}/$V}', 'a/b/v1.29.2.tar.gz'],
    ['${V///x}', 'v1.29.2'],
    ['${EMPTY/*/x}', 'x'],
    ['${V/.29/}', 'v1.2'],
  ])('%s', (word, expected) => {
    expect(expanded(word)).toBe(expected);
  });

  test('with ` as the escape character, \\ is an ordinary one', () => {
    const value = (word: string): string => expandWord(word, env, { escape: '`' }).value;
    expect(value('c:\\$PWD`$PWD"`"a\\"')).toBe('c:\\/home$PWD"a\\');
  });

  test('characters beyond the 16-bit range are one character for a pattern', () => {
    expect(expandWord('${x#?}|${x%?}|${x//?/-}', () => '\u{1f600}a\u{1f601}', BACKSLASH).value).toBe(
      'a\u{1f601}|\u{1f600}a|---',
    );
  });
});

describe('names that are not set', () => {
  test.each<[string, string[]]>([
    ['$A ${B} $A $PWD', ['A', 'B']],
    ['${A:-x} ${B+x} ${C-}', []],
    ['${A:-$B}', ['B']],
    ['${PWD:-$B}', []],
    ['${A#x} ${B//x/$C}', ['A', 'C', 'B']],
    ["'$A' \\$B $EMPTY", []],
  ])('%s', (word, names) => {
    expect([...expandWord(word, env, BACKSLASH).undefinedNames].sort()).toEqual([...names].sort());
  });
});

describe('what cannot be expanded', () => {
  test.each<[string, RegExp, number]>([
    ['a${', /the closing } is missing/, 1],
    ['ab${V', /the closing } is missing/, 2],
    ['${V!}', /unknown modifier "!"/, 0],
    ['${V:=x}', /unknown modifier ":="/, 0],
    ['${V:#x}', /unknown modifier ":#"/, 0],
    ['x${}', /no name/, 1],
    ['a"b', /the closing " is missing/, 1],
    ["a'b", /the closing ' is missing/, 1],
    ['${V/x}', /a "\/" is missing/, 5],
    ['a${NO:?say so}', /^NO is required: say so$/, 1],
    ['${NO?}', /^NO is required: it is not set$/, 0],
    ['${EMPTY:?}', /^EMPTY is required: it is empty$/, 0],
    ['${NO?$V}', /^NO is required: v1\.29\.2$/, 0],
  ])('%s', (word, message, offset) => {
    expect(() => expandWord(word, env, BACKSLASH)).toThrow(
      expect.objectContaining({
        code: 'E_KUBEFILE_SYNTAX',
        message: expect.stringMatching(message),
        hint: expect.any(String),
        details: expect.objectContaining({ offset }),
      }),
    );
  });

  test('a default is looked at only when it is needed', () => {
    expect(expanded('${V:-${NO?}}${NO:+${NO?}}')).toBe('v1.29.2');
  });

  test('a word does not grow without bounds', () => {
    const big = 'x'.repeat(600_000);
    expect(() => expandWord('$A$A', () => big, BACKSLASH)).toThrow(/longer than a million/);
    expect(() => expandWord('${A//x/$B}', (name) => (name === 'A' ? big : 'yy'), BACKSLASH)).toThrow(
      /longer than a million/,
    );
  });

  test('patterns do not backtrack', () => {
    const value = `${'a'.repeat(20_000)}b`;
    const word = `\${A#${'*a'.repeat(100)}*c}\${A%${'*a'.repeat(100)}*c}\${A//${'*a'.repeat(20)}c/x}`;
    expect(expandWord(word, () => value, BACKSLASH).value).toBe(value + value + value);
    expect(() => expandWord(`\${A#${'?'.repeat(60_000)}}`, () => value, BACKSLASH)).toThrow(/too long/);
  });
});

describe('a text that may become several words', () => {
  test.each<[string, string[]]>([
    ['a b', ['a', 'b']],
    [' a \t b ', ['a', 'b']],
    ['a"b c"d e', ['ab cd', 'e']],
    ['a\\ b c', ['a b', 'c']],
    ['x$SPACES', ['x', 'one', 'two']],
    ['x${SPACES}y', ['x', 'one', 'two', 'y']],
    ['"$SPACES"', [' one  two ']],
    ['$NO ""', []],
    ['${NO:-p q}', ['p', 'q']],
  ])('%s', (text, expected) => {
    expect(expandToWords(text, env, BACKSLASH).values).toEqual(expected);
  });
});

test('a heredoc: variables count, quotes are text, \\ escapes as in the shell', () => {
  const content = `a="$PWD" '\${V}'\n\\$PWD \\\\ \\n \\"\nthis \\\ngoes on \${NO:-"q\\}"}$NO\n`;
  expect(expandHeredoc(content, env)).toEqual({
    value: `a="/home" 'v1.29.2'\n$PWD \\ \\n \\"\nthis goes on "q}"\n`,
    undefinedNames: ['NO'],
  });
});

describe('for any text', () => {
  const text = fc
    .array(fc.constantFrom('a', '*', '?', '\\', '/', '.', '\u{1f600}'), { maxLength: 8 })
    .map((parts) => parts.join(''));
  const quoted = (value: string): string => `"${value.replace(/["$\\]/g, '\\$&')}"`;

  test('what is quoted stays as it is', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (value) => {
        expect(expanded(quoted(value))).toBe(value);
      }),
    );
  });

  test('a value is not looked at again', () => {
    fc.assert(
      fc.property(fc.string(), (value) => {
        for (const word of ['$x', '${x}', '"$x"', '${x:-d}', '${no:-$x}', '${x#}', '${x+$x}'])
          expect(expandWord(word, (name) => (name === 'x' ? value : undefined), BACKSLASH).value).toBe(
            value === '' && word === '${x:-d}' ? 'd' : value,
          );
      }),
    );
  });

  test('cutting off a literal prefix or suffix, replacing a literal: as string functions do', () => {
    fc.assert(
      fc.property(text, text, (x, p) => {
        const value = (word: string): string => expandWord(word, (name) => (name === 'x' ? x : p), BACKSLASH).value;
        const prefix = x.startsWith(p) ? x.slice(p.length) : x;
        const suffix = x.endsWith(p) ? x.slice(0, x.length - p.length) : x;
        expect([value('${x#"$p"}'), value('${x##"$p"}')]).toEqual([prefix, prefix]);
        expect([value('${x%"$p"}'), value('${x%%"$p"}')]).toEqual([suffix, suffix]);
        if (p !== '') expect(value('${x//"$p"/-}')).toBe(x.replaceAll(p, '-'));
      }),
    );
  });

  test('wildcards match what the same regular expression matches', () => {
    const source = (p: string, star: string): string =>
      Array.from(p, (character) =>
        character === '*' ? star : character === '?' ? '.' : `\\u{${character.codePointAt(0)?.toString(16)}}`,
      ).join('');
    fc.assert(
      fc.property(
        fc.string({ unit: fc.constantFrom('a', 'b', '\u{1f600}'), maxLength: 8 }),
        fc.string({ unit: fc.constantFrom('a', 'b', '*', '*', '?'), maxLength: 6 }),
        (x, p) => {
          const value = (word: string): string => expandWord(word, (name) => (name === 'x' ? x : p), BACKSLASH).value;
          expect(value('${x##$p}')).toBe(x.replace(new RegExp(`^${source(p, '.*')}`, 'us'), ''));
          expect(value('${x#$p}')).toBe(x.replace(new RegExp(`^${source(p, '.*?')}`, 'us'), ''));
          expect(value('${x%%$p}')).toBe(x.replace(new RegExp(`${source(p, '.*')}$`, 'us'), ''));
          if (p !== '') expect(value('${x/$p/-}')).toBe(x.replace(new RegExp(source(p, '.*'), 'us'), '-'));
        },
      ),
      { numRuns: 1_000 },
    );
  });
});

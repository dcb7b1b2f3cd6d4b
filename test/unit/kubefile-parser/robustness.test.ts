import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { isSlipwayError } from '../../../src/base/errors.js';
import { parseKubefile, parseKubefileLenient } from '../../../src/kubefile-parser/parse.js';
import { printKubefile } from '../../../src/kubefile-parser/print.js';
import { lines } from './kit.js';

/** Parses, and prints what could be read; anything but a SlipwayError comes through. */
function read(text: string | Uint8Array): 'accepted' | 'refused' {
  try {
    printKubefile(parseKubefile(text, 'Kubefile'));
    return 'accepted';
  } catch (error) {
    if (isSlipwayError(error, 'E_KUBEFILE_SYNTAX')) return 'refused';
    throw error;
  }
}

const token = fc.constantFrom(
  'FROM scratch\n',
  'COPY ',
  'ADD ',
  'RUN ',
  'ENV ',
  'ARG ',
  'CMD ',
  'LAUNCH ',
  'APP x ',
  'ONBUILD RUN ',
  '# escape=`\n',
  '# dialect=docker\n',
  'a',
  ' ',
  '\t',
  '\\',
  '`',
  '"',
  "'",
  '$',
  '${',
  '}',
  '${a:-b c}',
  '${a/b/c}',
  '=',
  ',',
  '\n',
  '\\\n',
  '`\n',
  '\\\n# c\n',
  '#',
  '<<EOF',
  '<<-EOF',
  "<<'E F'",
  '\nEOF\n',
  '\nE F\n',
  '--',
  '--from=0',
  '--mount=type=cache,target=/x',
  '--mount="',
  '["a","b"]',
  '[',
  ']',
  '\u00a0',
  '\u3000',
  '\u{1f600}',
  '\r\n',
  '\f',
  '\0',
  '\ufeff',
  '\ud800',
  '$((1 << 2))',
);
const anything = fc.oneof(
  fc.array(token, { maxLength: 25 }).map((tokens) => tokens.join('')),
  fc.array(token, { maxLength: 12 }).map((tokens) => `FROM x\nCOPY ${tokens.join('')}`),
  fc.string({ unit: 'binary', maxLength: 100 }),
  fc.uint8Array({ maxLength: 100 }),
);

describe('any text', () => {
  test('is accepted, or refused with a SlipwayError', () => {
    fc.assert(
      fc.property(anything, (text) => {
        read(text);
      }),
      { numRuns: 1_000 },
    );
  });

  test('what is said about it points into it, and says what to do', () => {
    fc.assert(
      fc.property(anything, (text) => {
        const { kubefile, problems, warnings } = parseKubefileLenient(text, 'Kubefile');
        const source = kubefile.text.split('\n');
        for (const { line, column, message, hint } of [...problems, ...warnings]) {
          const width = source[line - 1]?.length ?? -1;
          expect(column).toBeGreaterThan(0);
          expect(column).toBeLessThanOrEqual(width + 1);
          expect([message, hint]).not.toContain('');
        }
      }),
      { numRuns: 1_000 },
    );
  });
});

// Each of these takes minutes when reading takes time by the square of the length, and the test runs into its limit.
describe('large files are read in time by their length', () => {
  const line = (unit: string): string => unit.repeat(Math.floor(65_000 / unit.length));

  test.each<[string, string]>([
    ['10 000 lines', `FROM x\n${'COPY --chown=1:1 a b ${C:-d} /x/\n'.repeat(10_000)}`],
    ['10 000 mistakes', `FROM x\n${'COPPY ${a!}\n'.repeat(10_000)}`],
    [
      '10 000 stages',
      Array.from({ length: 10_000 }, (_, i) => `FROM ${i > 0 ? `s${i - 1}` : 'x'} AS s${i}\n`).join(''),
    ],
    ['10 000 stages of one name', 'FROM x AS a\nCOPY --from=b c d\n'.repeat(10_000)],
    ['a line of 500 kB in pieces', `FROM x\nCOPY ${`${'ab '.repeat(300)}\\\n`.repeat(500)}c`],
    ['200 000 continuations', `FROM x\nRUN a \\\n${'\\\n# c\n\n'.repeat(70_000)}b`],
    ['20 000 heredocs without an end', `FROM x\n${'RUN <<E\nE \n'.repeat(20_000)}`],
    [
      '5 000 heredocs of one COPY',
      `FROM x\nCOPY ${Array.from({ length: 5_000 }, (_, i) => `<<E${i}`).join(' ')} /x\n${lines(...Array.from({ length: 5_000 }, (_, i) => `E${i}`))}`,
    ],
    ['100 000 excludes', `FROM x\nCOPY ${`${'--exclude=a '.repeat(1_000)}\\\n`.repeat(100)}a b`],
    ['NUL bytes', '\0\n'.repeat(100_000)],
  ])('%s', (_, text) => {
    expect(['accepted', 'refused']).toContain(read(text));
  });

  test.each([
    '" ',
    "' ",
    `"'`,
    '${a!} ',
    '${a:-',
    '${ ',
    '${a:-"',
    'a ',
    'a=b ',
    'a=1,',
    'a=1,b=2 ',
    '[',
    '["a",',
    '"a",',
    '$((',
    '<<E ',
    '<<',
    '\\',
    '\\ ',
    '--x ',
    '--x="',
    '--mount=type=cache,target=/x ',
    ',',
    '=',
    ' ',
    '\u00a0',
    '#',
    '# ',
    'local://x ',
    '中',
  ])('a line of: %s', (unit) => {
    const keywords = ['', 'COPY ', 'RUN ', 'ENV ', 'ARG ', 'CMD ', 'LAUNCH ', 'RUN --mount=', 'COPY [', '# escape='];
    for (const keyword of keywords)
      expect(['accepted', 'refused']).toContain(
        read(`${keyword.startsWith('#') ? '' : 'FROM x\n'}${keyword}${line(unit)}x`),
      );
  });
});

import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { isSlipwayError } from '../../../src/base/errors.js';
import { IGNORED_KEYWORDS, KEYWORDS } from '../../../src/kubefile-parser/keywords.js';
import { parseKubefile, parseKubefileLenient } from '../../../src/kubefile-parser/parse.js';
import { problemsOf } from './kit.js';

const takesFlags = KEYWORDS.filter((keyword) => !IGNORED_KEYWORDS.some((ignored) => ignored === keyword));
/** An instruction behind a FROM that is fine, so that it is in line 2. */
const second = (line: string): string => `FROM x\n${line}\n`;

describe('every instruction', () => {
  test.each(KEYWORDS)('%s without arguments', (keyword) => {
    for (const line of [keyword, `${keyword}   `, keyword.toLowerCase(), `${keyword} \\\n`])
      expect(problemsOf(second(line))[0]).toMatch(/^2:\d+ /);
  });

  test.each(takesFlags)('%s with a flag that it does not have', (keyword) => {
    const [problem] = problemsOf(second(`${keyword} --nope=1 a b`));
    expect(problem).toBe(`2:${keyword.length + 2} ${keyword} has no flag "--nope"`);
  });

  test.each(KEYWORDS)('%s in a line of 70 kB', (keyword) => {
    const [problem, ...more] = problemsOf(second(`${keyword} ${'a '.repeat(35_000)}`));
    expect(problem).toMatch(/^2:1 a line of 7\d{4} bytes; at most 65535 are possible$/);
    expect(more).toEqual([]);
  });

  test.each(KEYWORDS)('%s with a NUL byte', (keyword) => {
    expect(problemsOf(second(`${keyword} a\0b c`))).toEqual([`2:${keyword.length + 3} a NUL byte`]);
  });

  test.each(KEYWORDS)('%s in Latin-1', (keyword) => {
    expect(problemsOf(Buffer.from(second(`${keyword} caf\xe9 b`), 'latin1'))).toEqual([
      `2:${keyword.length + 5} this is not UTF-8`,
    ]);
  });

  test.each(KEYWORDS)('%s with quotes, substitutions and arrays that do not end gives no other error', (keyword) => {
    for (const rest of [
      '"',
      "'",
      '${',
      '${a:-',
      '$(',
      '[',
      '["a"',
      '["a",]',
      '{"a":1}',
      '[[1]]',
      '=',
      '\\',
      '--',
      '-- --',
      '--x="',
    ]) {
      const text = second(`${keyword} ${rest}`);
      try {
        parseKubefile(text, 'Kubefile');
      } catch (error) {
        expect(isSlipwayError(error, 'E_KUBEFILE_SYNTAX'), `${keyword} ${rest}`).toBe(true);
      }
    }
  });

  test('what is behind a mistake is read all the same', () => {
    const lines = KEYWORDS.filter((keyword) => keyword !== 'FROM').map((keyword) => keyword);
    expect(problemsOf(`FROM x\n${lines.join('\n')}\n`).map((problem) => problem.split(':', 1)[0])).toEqual(
      lines.map((_, index) => String(index + 2)),
    );
  });
});

describe('too many arguments', () => {
  test.each<[string, string]>([
    ['FROM a AS b c', '2:13 FROM does not take "c" here'],
    ['BASE rootfs cache more', '2:19 BASE does not take "more" here'],
  ])('%s', (line, expected) => {
    expect(problemsOf(second(line))).toEqual([expected]);
  });
});

describe('stages that cannot be', () => {
  test.each<[what: string, text: string, expected: RegExp]>([
    ['built from itself', 'FROM a AS a', /^1:6 "a" is the stage itself$/],
    ['built in a circle', 'FROM b AS a\nFROM a AS b', /^1:6 "b" is a later stage \(line 2\)$/],
    ['a copy from itself', 'FROM x AS a\nCOPY --from=a b c', /^2:13 stage "a" is this stage itself$/],
    ['a copy from a later one', 'FROM x AS a\nCOPY --from=b c d\nFROM x AS b', /^2:13 stage "b" is a later stage$/],
    ['a copy from a number that is not there', 'FROM x\nCOPY --from=7 c d', /^2:13 stage "7" does not exist/],
    [
      'a mount of a later one',
      'FROM x\nRUN --mount=type=bind,from=1,target=/x ls\nFROM y',
      /^2:\d+ stage "1" is a later stage$/,
    ],
    ['two of one name', 'FROM x AS a\nFROM y AS A', /^2:1 a second stage is called "a"/],
  ])('%s', (_, text, expected) => {
    const [problem, ...more] = problemsOf(text);
    expect(problem).toMatch(expected);
    expect(more).toEqual([]);
  });

  test('a name that no stage has is an image', () => {
    const { kubefile, problems } = parseKubefileLenient('FROM x\nCOPY --from=nobody a b', 'Kubefile');
    expect(problems).toEqual([]);
    expect(kubefile.stages[0]?.instructions[0]).toMatchObject({ from: { name: 'nobody' } });
  });
});

test.each(['RUN', 'COPY', 'ADD'])('a heredoc of %s that does not end', (keyword) => {
  const destination = keyword === 'RUN' ? '' : ' /x';
  const [problem, ...more] = problemsOf(second(`${keyword} <<EOF${destination}\na\n EOF\nb`));
  expect(problem).toBe(`2:${keyword.length + 2} the heredoc "EOF" has no end`);
  expect(more.every((line) => line.includes('unknown instruction'))).toBe(true);
});

test('real Kubefiles with bytes cut out, doubled and put in are accepted, or refused with a SlipwayError', () => {
  const real = ['examples/demo', 'examples/dashboard', 'basefs/kubernetes'].map((dir) =>
    readFileSync(new URL(`../../../${dir}/Kubefile`, import.meta.url)),
  );
  const edit = fc.tuple(fc.nat(), fc.nat({ max: 60 }), fc.boolean(), fc.uint8Array({ maxLength: 6 }));
  fc.assert(
    fc.property(fc.constantFrom(...real), fc.array(edit, { maxLength: 8 }), (bytes, edits) => {
      const text = edits.reduce((now, [at, length, double, put]) => {
        const start = at % (now.length + 1);
        const rest = now.subarray(double ? Math.max(0, start - length) : start + length);
        return Buffer.concat([now.subarray(0, start), put, rest]);
      }, bytes);
      try {
        parseKubefile(text, 'Kubefile');
      } catch (error) {
        if (!isSlipwayError(error, 'E_KUBEFILE_SYNTAX')) throw error;
      }
    }),
    { numRuns: 500 },
  );
});

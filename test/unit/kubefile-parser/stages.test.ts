import { describe, expect, test } from 'vitest';
import { findStage } from '../../../src/kubefile-parser/stages.js';
import { instruction, lines, parse, problemsOf, warningsOf } from './kit.js';

test('stages: platform, image, name, and what each is built from', () => {
  const { globalArgs, stages } = parse(
    lines(
      'ARG BASE=kubernetes:v1 OTHER',
      'FROM --platform=$BUILDPLATFORM ${BASE} AS Tools',
      'ARG BASE',
      'FROM tools AS more',
      'FROM "tools"',
      'FROM example.com/k0s:v1.29@sha256:abc as last',
    ),
  );
  expect(globalArgs).toMatchObject([
    { kind: 'ARG', args: [{ name: { raw: 'BASE' }, default: { raw: 'kubernetes:v1' } }, { name: { raw: 'OTHER' } }] },
  ]);
  expect(globalArgs[0]?.args[1]).not.toHaveProperty('default');
  expect(stages.map(({ from }) => from)).toMatchObject([
    {
      index: 0,
      name: 'tools',
      platform: { raw: '$BUILDPLATFORM', position: { line: 2, column: 17 } },
      image: { raw: '${BASE}' },
    },
    { index: 1, name: 'more', image: { raw: 'tools' }, stage: 0 },
    { index: 2, stage: 0 },
    { index: 3, name: 'last', image: { raw: 'example.com/k0s:v1.29@sha256:abc' } },
  ]);
  expect(stages[0]?.from).not.toHaveProperty('stage');
  expect(stages[0]?.instructions).toMatchObject([{ kind: 'ARG', args: [{ name: { raw: 'BASE' } }] }]);
  expect(stages[3]?.from.source).toBe('FROM example.com/k0s:v1.29@sha256:abc as last');
});

test('a stage is found by name in any case, only among earlier ones', () => {
  const { stages } = parse(lines('FROM x AS a', 'FROM y AS b'));
  expect(findStage(stages, 'A', 1)).toBe(0);
  expect(findStage(stages, 'b', 1)).toBeUndefined();
  expect(findStage(stages, 'c', 2)).toBeUndefined();
});

test('--from: a stage by name or number, or an image', () => {
  const from = (flag: string): unknown =>
    instruction('COPY', lines('FROM x AS Tools', 'FROM y', `COPY --from=${flag} a b`)).from;
  expect(from('TOOLS')).toEqual({ name: 'TOOLS', stage: 0, position: { line: 3, column: 13 } });
  expect(from('0')).toMatchObject({ stage: 0 });
  expect(from('"tools"')).toMatchObject({ name: 'tools', stage: 0 });
  expect(from('busybox:1.36')).toEqual({ name: 'busybox:1.36', position: { line: 3, column: 13 } });
  const run = instruction('RUN', lines('FROM x AS t', 'FROM y', 'RUN --mount=type=bind,from=t,target=/t ls'));
  expect(run.mounts[0]).toMatchObject({ from: { name: 't', stage: 0, position: { line: 3, column: 28 } } });
});

describe('mistakes between stages', () => {
  test.each<[string, string[], string[]]>([
    ['a name twice', ['FROM x AS a', 'FROM y AS A'], ['2:1 a second stage is called "a"; the first is in line 1']],
    ['FROM itself', ['FROM a AS a'], ['1:6 "a" is the stage itself']],
    ['FROM a later one', ['FROM b AS a', 'FROM x AS b'], ['1:6 "b" is a later stage (line 2)']],
    [
      'COPY from itself',
      ['FROM x AS a', 'COPY --from=a b c', 'COPY --from=0 b c'],
      ['2:13 stage "a" is this stage itself', '3:13 stage "0" is this stage itself'],
    ],
    [
      'COPY from a later one',
      ['FROM x', 'COPY --from=b c d', 'COPY --from=1 c d', 'FROM y AS b'],
      ['2:13 stage "b" is a later stage', '3:13 stage "1" is a later stage'],
    ],
    [
      'COPY from a number that is none',
      ['FROM x', 'COPY --from=7 c d'],
      ['2:13 stage "7" does not exist: there are 1 stages, from 0'],
    ],
    [
      'a mount from a later one',
      ['FROM x', 'RUN --mount=from=b,target=/b ls', 'FROM y AS b'],
      ['2:18 stage "b" is a later stage'],
    ],
    [
      'LAUNCH and CMD',
      ['FROM x', 'CMD a', 'CMD b', 'LAUNCH c'],
      ['4:1 LAUNCH and CMD exclude each other; there is a CMD in line 2'],
    ],
    [
      'LAUNCH and CMDS',
      ['FROM x', 'LAUNCH c', 'CMDS ["a"]'],
      ['3:1 CMDS and LAUNCH exclude each other; there is a LAUNCH in line 2'],
    ],
    ['LAUNCH twice', ['FROM x', 'LAUNCH c', 'LAUNCH d'], ['3:1 LAUNCH a second time; the first is in line 2']],
    ['CMDS twice', ['FROM x', 'CMDS ["a"]', 'CMDS ["b"]'], ['3:1 CMDS a second time; the first is in line 2']],
  ])('%s', (_, text, expected) => {
    expect(problemsOf(lines(...text))).toEqual(expected);
  });

  test('in different stages LAUNCH and CMD do not meet', () => {
    expect(problemsOf(lines('FROM x', 'CMD a', 'FROM y', 'LAUNCH b'))).toEqual([]);
  });

  test('CMD together with CMDS is read, with a warning', () => {
    expect(warningsOf(lines('FROM x', 'CMD a', 'CMDS ["b"]'))).toEqual(['3:1 cmd-and-cmds']);
  });

  test("in Docker's dialect a later stage may have the name of an image, as there", () => {
    expect(warningsOf(lines('# dialect=docker', 'FROM alpine AS alpine', 'FROM golang', 'FROM x AS golang'))).toEqual([
      '2:6 stage-shadows-image',
      '3:6 stage-shadows-image',
    ]);
  });
});

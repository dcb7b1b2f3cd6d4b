import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseKubefileLenient } from '../../../src/kubefile-parser/parse.js';
import { lintReport, lintReportSchema } from '../../../src/lint/report.js';
import { syntaxTree } from '../../../src/lint/syntax-tree.js';
import { tempDirectory } from '../../support/temp.js';
import { lint } from './kit.js';

const REAL = ['examples/demo/Kubefile', 'examples/dashboard/Kubefile', 'basefs/kubernetes/Kubefile'].map((file) =>
  readFileSync(new URL(`../../../${file}`, import.meta.url), 'utf8'),
);
const context = tempDirectory();

/** Lints text and context; the report has to be one of the documented kind, and to point into the text. */
async function check(text: string | Uint8Array): Promise<void> {
  const result = await lint(text, { context });
  const report = lintReportSchema.parse(lintReport([result]));
  const parsed = parseKubefileLenient(text, 'Kubefile');
  const lines = parsed.kubefile.text.split('\n');
  for (const { line, column } of report.findings) {
    expect(line).toBeLessThanOrEqual(lines.length);
    expect(column).toBeLessThanOrEqual((lines[line - 1] ?? '').length + 1);
  }
  JSON.stringify(syntaxTree(parsed));
}

const line = fc.constantFrom(
  'FROM scratch\n',
  'FROM scratch AS a\n',
  'FROM a\n',
  'FROM $A AS b\n',
  'FROM --platform=$X y\n',
  'ARG A=a\n',
  'ARG A\n',
  'ARG $A=$B\n',
  'ENV A=$A$A$A B=${A//a/$A}\n',
  'ENV __proto__=1 constructor=2 toString=$__proto__\n',
  'COPY $A .\n',
  'COPY . .\n',
  'COPY .. .\n',
  'COPY * /\n',
  'COPY x y z\n',
  'COPY --from=a . .\n',
  'COPY --from=0 / /x/\n',
  'COPY --from=toString a b\n',
  'COPY <<EOF /\n$A\nEOF\n',
  'COPY <<EOF <<E2 $B\nEOF\nE2\n',
  'ADD https://x/y .\n',
  'ADD ${A:?} .\n',
  'RUN cd x\n',
  'RUN --mount=type=bind,from=a,target=$B ls\n',
  'RUN ["$A"]\n',
  'CMD $A ~/x /home/../x\n',
  'CMD kubectl apply -f a/../../b -f __proto__\n',
  'CMDS ["sh /tmp/a"]\n',
  'WORKDIR $A\n',
  'WORKDIR ../..\n',
  'LABEL __proto__=1 __proto__=2\n',
  'APP a local://.. local://$A\n',
  'APP __proto__ local:///x\n',
  'LAUNCH toString\n',
  'KUBEVERSION $A\n',
  'MAINTAINER x\n',
  'BASE $A cache\n',
  'ENV a b\n',
  'ENTRYPOINT []\n',
  '# slipway lint ignore=undefined-variable\n',
  '# slipway lint ignore-file=,__proto__,syntax\n',
  '# slipway lint\n',
  '# dialect=docker\n',
  'EXPOSE 1\n',
  '\\\n',
  'COPPY\n',
  '\0',
  '\u{1f600}',
);

test('any row of instructions gives a report', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(line, { maxLength: 30 }), (lines) => check(lines.join(''))),
    { numRuns: 1_000 },
  );
});

test('any bytes give a report', async () => {
  await fc.assert(
    fc.asyncProperty(fc.oneof(fc.uint8Array({ maxLength: 200 }), fc.string({ unit: 'binary', maxLength: 200 })), check),
    { numRuns: 300 },
  );
});

test('real files with something cut out, doubled or put in give a report', async () => {
  const mutated = fc
    .tuple(
      fc.constantFrom(...REAL),
      fc.array(fc.tuple(fc.nat(), fc.nat({ max: 40 }), fc.string({ unit: 'binary', maxLength: 5 })), { maxLength: 6 }),
    )
    .map(([text, edits]) =>
      edits.reduce((now, [at, length, put]) => {
        const start = at % (now.length + 1);
        return now.slice(0, start) + put + now.slice(at % 2 === 0 ? start : start + length);
      }, text),
    );
  await fc.assert(fc.asyncProperty(mutated, check), { numRuns: 300 });
});

// Each of these takes minutes when linting takes time by the square of the length, and the test runs into its limit.
describe('large files are linted in time by their length', () => {
  const many = (count: number, text: (index: number) => string) =>
    Array.from({ length: count }, (_, i) => text(i)).join('');
  test.each<[string, string]>([
    ['10 000 copies of nothing', `FROM scratch\n${'COPY a b\n'.repeat(10_000)}`],
    ['10 000 copies', `FROM scratch\n${many(10_000, (i) => `COPY . /d${i}/\n`)}`],
    ['10 000 heredocs', `FROM scratch\n${many(10_000, (i) => `COPY <<EOF /f${i}\nx\nEOF\n`)}CMD sh /f9\n`],
    [
      '10 000 stages, each built from the one before',
      `FROM scratch AS s0\n${many(10_000, (i) => `FROM s${i} AS s${i + 1}\nENV V${i}=$V${i - 1}\nLABEL a=$NOT\n`)}`,
    ],
    [
      '10 000 stages that copy from the one before',
      `FROM scratch AS s0\n${many(10_000, (i) => `FROM scratch AS s${i + 1}\nCOPY --from=s${i} / /x/\n`)}`,
    ],
    ['10 000 arguments and commands', `FROM scratch\n${many(10_000, (i) => `ARG A${i}\nRUN echo x${i}\n`)}`],
    ['10 000 labels', `FROM scratch\n${many(10_000, (i) => `LABEL a${i % 100}=$A${i}\n`)}`],
    [
      '10 000 suppressions',
      `FROM scratch\n${many(10_000, (i) => `# slipway lint ignore=duplicate-label\nLABEL a=${i}\n`)}`,
    ],
    [
      'variables that grow',
      `FROM scratch\nENV A=aaaaaaaaaa\n${'ENV A=$A$A$A$A$A$A$A$A\n'.repeat(2_000)}${'COPY $A$A$A$A .\n'.repeat(8_000)}`,
    ],
    [
      'patterns',
      `FROM scratch\nENV A=${'a'.repeat(500)} B=${'a'.repeat(250)}b\n${`COPY ${'${A//$B/$A}'.repeat(100)} .\n`.repeat(1_000)}`,
    ],
    [
      'misspelt names',
      `FROM scratch\nENV ${many(2_000, (i) => `VARIABLE${i}=1 `)}\n${many(5_000, (i) => `COPY $VARIABEL${i} .\n`)}`,
    ],
    ['a long command', `FROM scratch\nCMD ${'/a/b '.repeat(12_000)}`],
    ['a long pipe', `FROM scratch\nRUN ${'curl a '.repeat(9_000)}`],
    [
      'blanks',
      `FROM scratch\nRUN ${' '.repeat(60_000)}a\n${`# slipway lint ignore=${' '.repeat(50_000)}\n`.repeat(20)}`,
    ],
  ])('%s', { timeout: 120_000 }, async (_, text) => {
    await check(text);
  });
});

import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { lintReportSchema } from '../../../src/lint/report.js';
import { mustSlipway, slipway } from '../../support/slipway.js';
import { tempDirectory } from '../../support/temp.js';

const home = tempDirectory();
const root = join(home, 'store');
const project = fileURLToPath(new URL('../../..', import.meta.url));

function context(name: string, kubefile: string, ...files: readonly string[]): string {
  const dir = join(home, name);
  mkdirSync(dir, { recursive: true });
  writeFileSync(join(dir, 'Kubefile'), kubefile);
  for (const file of files) writeFileSync(join(dir, file), 'x');
  return dir;
}

describe('slipway lint', () => {
  test('every Kubefile of the project has neither errors nor warnings', async () => {
    // as a shell expands `examples/*`: whatever lies there is a context
    const dirs = [...readdirSync(join(project, 'examples')).map((name) => join('examples', name)), 'basefs/'];
    const { code, stdout } = await slipway(['lint', '--strict', '--json', ...dirs], { root, cwd: project });
    const report = lintReportSchema.parse(JSON.parse(stdout));
    expect(report.summary).toMatchObject({ errors: 0, warnings: 0 });
    expect(report.files.length).toBeGreaterThanOrEqual(10);
    expect(code).toBe(0);
  });

  test('shows the place, the line, and what to do', async () => {
    const dir = context('shown', 'FROM scratch\nCOPY rotfs .\n', 'rootfs');
    const { code, stdout, stderr } = await slipway(['lint', dir], { root });
    expect(stdout).toContain(
      `${dir}/Kubefile:2:6: error: rotfs is not in the build context ${dir} [copy-source-missing]`,
    );
    expect(stdout).toContain('    COPY rotfs .\n         ^\n    did you mean rootfs?\n');
    expect(stdout).toMatch(/: 1 error, 0 warnings\n$/);
    expect([code, stderr]).toEqual([1, '']);
  });

  test('the exit code says how grave it is', async () => {
    const dir = context('grave', 'FROM scratch\nMAINTAINER me\n');
    const code = async (...flags: string[]) =>
      (await slipway(['lint', '--type=app-installer', ...flags, dir], { root })).code;
    expect(await code()).toBe(0);
    expect(await code('--strict')).toBe(1);
    expect(await code('--fail-on', 'warning')).toBe(1);
    expect(await code('--fail-on', 'never')).toBe(0);
    expect(await code('--target', 'nothing')).toBe(2);
    expect(await code('--fail-on', 'all')).toBe(2);
  });

  test('standard input, another Kubefile, and only the text', async () => {
    const text = 'FROM scratch\nCOPY a .\nLABEL x=1 x=2\n';
    const dir = context('other', 'FROM scratch\n', 'a');
    const file = join(home, 'other.kubefile');
    writeFileSync(file, text);
    const rules = async (args: string[], stdin?: string) => {
      const { stdout } = await slipway(['lint', '--json', '--type', 'app-installer', ...args], {
        root,
        ...(stdin === undefined ? {} : { stdin }),
      });
      return lintReportSchema.parse(JSON.parse(stdout)).findings.map(({ rule }) => rule);
    };
    expect(await rules(['-'], text)).toEqual(['duplicate-label']);
    expect(await rules(['-f', file, dir])).toEqual(['duplicate-label']);
    expect(await rules([file])).toEqual(['copy-source-missing', 'duplicate-label']);
    expect(await rules(['--no-context', file])).toEqual(['duplicate-label']);
  });

  test('for a workflow', async () => {
    const dir = context('github', 'FROM scratch\nMAINTAINER 100%\n');
    const { stdout } = await slipway(['lint', '--format', 'github', '--type=app-installer', 'Kubefile'], {
      root,
      cwd: dir,
    });
    expect(stdout).toBe(
      '::warning file=Kubefile,line=2,col=1,title=maintainer-deprecated::MAINTAINER is deprecated%0Awrite LABEL org.opencontainers.image.authors="100%25"\n',
    );
  });

  test('bytes that are no text, and files that are none', async () => {
    const dir = context('bytes', '');
    writeFileSync(join(dir, 'Kubefile'), Buffer.from([0xff, 0xfe, 0, 10, 0x46, 0xe9]));
    expect((await slipway(['lint', dir], { root })).stdout).toContain('this is not UTF-8 [syntax]');
    for (const [path, code] of [
      [join(home, 'nothing'), 1],
      ['/dev/zero', 2],
    ] as const) {
      const ended = await slipway(['lint', path], { root });
      expect(ended.stderr).toMatch(/^error: /);
      expect(ended.code).toBe(code);
    }
  });

  test('the syntax tree keeps its shape', async () => {
    const file = join(home, 'tree.kubefile');
    writeFileSync(file, '# dialect=docker\nARG A=1\nFROM x:$A AS s\nCOPY --chown=1 a b ./\nRUN <<E\nls\nE\nCOPPY\n');
    const tree = JSON.parse(await mustSlipway(['lint', '--ast', file], { root }));
    expect(tree).toEqual({
      schemaVersion: 1,
      file,
      directives: { escape: '\\', dialect: 'docker' },
      globalArgs: [
        {
          kind: 'ARG',
          position: { line: 2, column: 1, endLine: 2 },
          source: 'ARG A=1',
          args: [
            {
              name: { raw: 'A', position: { line: 2, column: 5 } },
              default: { raw: '1', position: { line: 2, column: 7 } },
            },
          ],
        },
      ],
      stages: [
        {
          from: {
            kind: 'FROM',
            position: { line: 3, column: 1, endLine: 3 },
            source: 'FROM x:$A AS s',
            index: 0,
            image: { raw: 'x:$A', position: { line: 3, column: 6 } },
            name: 's',
          },
          instructions: [
            {
              kind: 'COPY',
              position: { line: 4, column: 1, endLine: 4 },
              source: 'COPY --chown=1 a b ./',
              sources: [
                { raw: 'a', position: { line: 4, column: 16 } },
                { raw: 'b', position: { line: 4, column: 18 } },
              ],
              heredocs: [],
              destination: { raw: './', position: { line: 4, column: 20 } },
              chown: { raw: '1', position: { line: 4, column: 14 } },
              exclude: [],
              link: false,
              parents: false,
            },
            {
              kind: 'RUN',
              position: { line: 5, column: 1, endLine: 7 },
              source: 'RUN <<E',
              command: { form: 'shell', text: '<<E' },
              heredocs: [{ name: 'E', content: 'ls\n', expand: true, chomp: false, position: { line: 5, column: 5 } }],
              mounts: [],
            },
          ],
        },
      ],
      problems: [{ file, line: 8, column: 1, message: 'unknown instruction "COPPY"', hint: 'did you mean COPY?' }],
      warnings: [],
    });
  });

  test('build prints the same warnings, once each, and respects what is suppressed', async () => {
    const kubefile =
      'FROM scratch\nMAINTAINER me\nEXPOSE 80\nCOPY $NOTHING/a .\n# slipway lint ignore=duplicate-label\nLABEL a=1 a=2\n';
    const { stderr, code } = await slipway(['build', '--type', 'app-installer', context('built', kubefile, 'a')], {
      root,
    });
    expect(code).toBe(0);
    const count = (text: string) => stderr.split(text).length - 1;
    expect(count('(maintainer-deprecated)')).toBe(1);
    expect(count('EXPOSE has no effect')).toBe(1);
    expect(count('NOTHING is not set')).toBe(1);
    expect(count('is not declared')).toBe(0);
    expect(count('the label a')).toBe(0);
  });

  test('the list of rules, and completion', async () => {
    const text = await mustSlipway(['lint', '--rules'], { root });
    expect(text).toMatch(/^RULE +SEVERITY +MEANING\nsyntax +error /);
    const completion = await mustSlipway(['completion', 'bash'], { root });
    for (const flag of ['"lint") flags=', '--fail-on', '--no-context', '"lint --format") source="text json github"'])
      expect(completion).toContain(flag);
  });
});

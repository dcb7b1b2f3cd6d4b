// What the documentation says of the program and of itself is true: links lead somewhere, commands and flags exist.
import { existsSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { describe, expect, it } from 'vitest';
import { COMMANDS } from '../../../src/cli/commands.js';
import { createFullProgram } from '../../../src/cli/full-program.js';
import { cliOf, problemsOf } from './support/commands-in-text.js';
import { linksOf, type Page, PROJECT, readPage, readPages } from './support/pages.js';

const pages = readPages();
const cli = cliOf(await createFullProgram(COMMANDS));

/** Flags in backticks that are no flags of slipway: those of other programs, and of instructions of a Kubefile. */
const FLAGS_OF_OTHERS = new Set(
  [
    'chmod chown checksum exclude from keep-git-dir link mount parents security',
    // basefs/*/fetch.sh
    'bundle cni pin',
    // k3s
    'tls-san',
    // skopeo
    'encrypt-layer sign-by src-tls-verify',
    // of containers, where image names are looked for
    'flag some-image',
  ]
    .flatMap((line) => line.split(' '))
    .map((name) => `--${name}`),
);

function brokenLinks(page: Page): string[] {
  return linksOf(page).flatMap(({ line, text }) => {
    const [path = '', anchor] = text.split('#', 2);
    const target = path === '' ? page.file : normalize(join(dirname(page.file), decodeURIComponent(path)));
    const where = `${page.file}:${line}: ${text}`;
    const file = join(PROJECT, target);
    if (target.startsWith('..') || !existsSync(file)) return [`${where}: no such file`];
    if (anchor === undefined) return [];
    if (!target.endsWith('.md') || !statSync(file).isFile()) return [`${where}: an anchor in what is no page`];
    const anchors = (path === '' ? page : readPage(target, readFileSync(file, 'utf8'))).anchors;
    return anchors.has(anchor) ? [] : [`${where}: no such heading`];
  });
}

describe('the pages', () => {
  it('are there', () => {
    expect(pages.map(({ file }) => file)).toEqual(expect.arrayContaining(['README.md', 'docs/run.md']));
    expect(pages.flatMap(linksOf).length).toBeGreaterThan(50);
  });

  it('have links that lead somewhere', () => {
    expect(pages.flatMap(brokenLinks)).toEqual([]);
  });

  it('name commands and flags that there are', () => {
    const wrong = pages.flatMap(({ file, code, spans }) =>
      [...code, ...spans].flatMap(({ line, text }) =>
        problemsOf(text, cli).map((problem) => `${file}:${line}: ${problem}`),
      ),
    );
    expect(wrong).toEqual([]);
  });

  it('name no flag of a command, written without the program, that it does not have', () => {
    const wrong = pages.flatMap(({ file, spans }) =>
      spans
        .filter(({ text }) => cli.flags.has(text.split(' ', 1)[0] ?? '') && / --?[a-z]/.test(text))
        .flatMap(({ line, text }) =>
          problemsOf(`slipway ${text}`, cli).map((problem) => `${file}:${line}: ${problem}`),
        ),
    );
    expect(wrong).toEqual([]);
  });

  it('name no flag alone that no command has', () => {
    const all = new Set([...cli.flags.values()].flatMap((flags) => [...flags]));
    const wrong = pages.flatMap(({ file, spans }) =>
      spans.flatMap(({ line, text }) => {
        const [flag] = /^--[a-z]+(?:-[a-z]+)*(?=$|[ =[])/.exec(text) ?? [];
        return flag === undefined || all.has(flag) || FLAGS_OF_OTHERS.has(flag) ? [] : [`${file}:${line}: ${flag}`];
      }),
    );
    expect(wrong).toEqual([]);
  });
});

describe('what looks at the pages', () => {
  it.each([
    ['slipway lanch k8s:v1', ['there is no command "slipway lanch"']],
    ['$ slipway run k8s:v1 --master 10.0.0.2 -i key', ['"slipway run" has no flag --master']],
    ['slipway registry push x --as y --bogus', ['"slipway registry push" has no flag --bogus']],
    ['slipway --root /x --json status --deep', ['"slipway status" has no flag --deep']],
    ['slipway save k8s:v1 | ssh site slipway laod', ['there is no command "slipway laod"']],
    [
      'slipway unshare sh -c \'tar -C "$(slipway mount --there k8s:v1)" -c .\'',
      ['"slipway mount" has no flag --there'],
    ],
    ['slipway scale-up --nodes=10.0.0.2 -Z', ['"slipway scale-up" has no flag -Z']],
    ['slipway status && slipway check --depth', ['"slipway check" has no flag --depth']],
    ['slipway build [--targt STAGE] CONTEXT', ['"slipway build" has no flag --targt']],
  ])('sees what is wrong in %s', (text, problems) => {
    expect(problemsOf(text, cli)).toEqual(problems);
  });

  it.each([
    'slipway exec --masters -- du --max-depth=1 /var',
    'slipway unshare tar -C x --create',
    'slipway COMMAND --help',
    'slipway reset; rm -rf x --bogus',
    'slipway load <x # slipway --nonsense is no flag',
    '/var/lib/slipway data --x',
    'slipway images-in --format list . > imageList',
    'export PATH=/opt/slipway/bin:$PATH',
  ])('finds nothing in %s', (text) => {
    expect(problemsOf(text, cli)).toEqual([]);
  });

  it('sees links that lead nowhere', () => {
    const text =
      '# One\n\n[a](#one) [b](#two) [c](docs/run.md#reset) [d](docs/run.md#rest) [e](docs/none.md) `[f](none)`\n';
    expect(brokenLinks(readPage('README.md', text))).toEqual([
      'README.md:3: #two: no such heading',
      'README.md:3: docs/run.md#rest: no such heading',
      'README.md:3: docs/none.md: no such file',
    ]);
  });

  it('knows code from prose', () => {
    const page = readPage(
      'x.md',
      '# A `b` c\n\n```sh\nslipway run \\\n  --x\n[no](link)\n```\n\n## A b c\ntext `one` ``two ` 2``\n',
    );
    expect(page.code.map(({ text }) => text)).toEqual(['slipway run   --x', '[no](link)']);
    expect(page.spans.map(({ text }) => text)).toEqual(['b', 'one', 'two ` 2']);
    expect([...page.anchors]).toEqual(['a-b-c', 'a-b-c-1']);
    expect(linksOf(page)).toEqual([]);
  });
});

import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { tempDirectory } from '../../../support/temp.js';
import { type Builder, ourBuilder, prepareCase } from './builders.js';
import type { Files } from './files.js';

/** What Debian's buildah does not know: the examples of the Dockerfile reference (docs.docker.com/reference/dockerfile) and what they say. */
interface DocumentedCase {
  /** The section, and what of it. */
  readonly name: string;
  readonly context?: Files;
  readonly body: string;
  /** The files that must be there and nothing else, with what `unpackedTree` says of them; directories are left away. */
  readonly files?: Readonly<Record<string, string>>;
  readonly env?: readonly string[];
  readonly error?: RegExp;
}

const HOM: Files = { home: 'h', 'hom.txt': 't', 'hom.md': 'm', 'homdir/a.txt': 't', 'homdir/b': 'b', other: 'o' };
const XY: Files = { 'x/a.txt': 'XA', 'y/a.txt': 'YA', 'x/y/a.txt': 'XYA', 'x/y/b.txt': 'XYB' };
const SRC: Files = { 'src/a.txt': 'A', 'src/x/b.txt': 'B', 'src/x/y/c.txt': 'C', 'src/x/y/d.md': 'D' };
const file = (content: string, mode = '0644', owner = '0:0'): string => `${mode} ${owner} ${JSON.stringify(content)}`;

const CASES: readonly DocumentedCase[] = [
  // Here-Documents, "Creating inline files"
  {
    name: 'heredoc: a file',
    body: 'COPY <<EOF greeting.txt\nhello world\nEOF',
    files: { 'greeting.txt': file('hello world\n') },
  },
  {
    name: 'heredoc: variables are expanded',
    body: 'ARG FOO=bar\nCOPY <<-EOT /script.sh\n\techo "hello ${FOO}"\nEOT',
    files: { 'script.sh': file('echo "hello bar"\n') },
  },
  {
    name: 'heredoc: but not with a quoted word',
    body: 'ARG FOO=bar\nCOPY <<-"EOT" /script.sh\n\techo "hello ${FOO}"\nEOT',
    files: { 'script.sh': file('echo "hello ${FOO}"\n') },
  },
  {
    name: 'heredoc: several',
    body: 'COPY <<robots.txt <<humans.txt /www/\nDisallow:\nrobots.txt\nHello\nhumans.txt',
    files: { 'www/humans.txt': file('Hello\n'), 'www/robots.txt': file('Disallow:\n') },
  },
  {
    name: 'heredoc: beside a file, with owner and mode',
    context: { a: 'A' },
    body: 'COPY --chown=5:6 --chmod=600 <<b a /x/\nB\nb',
    files: { 'x/a': file('A', '0600', '5:6'), 'x/b': file('B\n', '0600', '5:6') },
  },
  { name: 'heredoc: ADD too', body: 'ADD <<EOF /x\nx\nEOF', files: { x: file('x\n') } },

  // COPY --parents
  {
    name: '--parents: without it',
    context: XY,
    body: 'COPY ./x/a.txt ./y/a.txt /no_parents/',
    files: { 'no_parents/a.txt': file('YA') },
  },
  {
    name: '--parents',
    context: XY,
    body: 'COPY --parents ./x/a.txt ./y/a.txt /parents/',
    files: { 'parents/x/a.txt': file('XA'), 'parents/y/a.txt': file('YA') },
  },
  {
    name: '--parents: from a pivot point on',
    context: XY,
    body: 'COPY --parents ./x/./y/*.txt /parents/',
    files: { 'parents/y/a.txt': file('XYA'), 'parents/y/b.txt': file('XYB') },
  },
  {
    name: '--parents: **',
    context: SRC,
    body: 'COPY --parents ./src/**/*.txt /parents/',
    files: { 'parents/src/a.txt': file('A'), 'parents/src/x/b.txt': file('B'), 'parents/src/x/y/c.txt': file('C') },
  },

  // COPY --exclude
  {
    name: '--exclude',
    context: HOM,
    body: 'COPY --exclude=*.txt home hom.txt hom.md /mydir/',
    files: { 'mydir/hom.md': file('m'), 'mydir/home': file('h') },
  },
  {
    name: '--exclude: several',
    context: HOM,
    body: 'COPY --exclude=*.txt --exclude=*.md home hom.txt hom.md /mydir/',
    files: { 'mydir/home': file('h') },
  },
  {
    name: '--exclude: ADD too',
    context: HOM,
    body: 'ADD --exclude=*.txt home hom.txt /x/',
    files: { 'x/home': file('h') },
  },

  // COPY --link
  {
    name: '--link',
    context: HOM,
    body: 'COPY home /d/\nCOPY --link --chown=5:6 hom.txt /d/',
    files: { 'd/hom.txt': file('t', '0644', '5:6'), 'd/home': file('h') },
  },

  // COPY --chmod, "symbolic notation"
  {
    name: '--chmod: +x',
    context: { 'script.sh': 'S' },
    body: 'COPY --chmod=+x script.sh /app/',
    files: { 'app/script.sh': file('S', '0755') },
  },
  {
    name: '--chmod: X is for directories and what can be run already',
    context: { a: { content: 'A', mode: 0o600 }, b: { content: 'B', mode: 0o700 } },
    body: 'COPY --chmod=u=rwX,go=rX . /app/',
    files: { 'app/a': file('A', '0644'), 'app/b': file('B', '0755') },
  },
  {
    name: '--chmod: g=u',
    context: { 'config/a': { content: 'A', mode: 0o640 } },
    body: 'COPY --chmod=g=u config/ /config/',
    files: { 'config/a': file('A', '0660') },
  },

  // COPY, "Pattern matching" and "Copying from the build context"
  {
    name: 'a bracket in a class',
    context: { 'arr[0].txt': 'A', 'arr0.txt': 'B' },
    body: 'COPY arr[[]0].txt /dest/',
    files: { 'dest/arr[0].txt': file('A') },
  },
  {
    name: '../ is removed',
    context: { something: 'S' },
    body: 'COPY ../something /something',
    files: { something: file('S') },
  },
  {
    name: 'slashes behind a source are disregarded',
    context: { something: 'S' },
    body: 'COPY something/ /something',
    files: { something: file('S') },
  },
  {
    name: 'a directory onto a file',
    context: { f: 'F', 'd/x': 'X' },
    body: 'COPY f /t\nCOPY d /t',
    error: /E_COPY/,
  },
  {
    name: 'a file onto a directory of its name',
    context: { f: 'F', 'd/f/x': 'X' },
    body: 'COPY d /t/\nCOPY f /t/',
    error: /E_COPY/,
  },
  { name: 'several sources without a slash', context: { a: 'A', b: 'B' }, body: 'COPY a b /x', error: /E_COPY/ },

  // Environment replacement
  {
    name: 'one value throughout an instruction',
    body: 'ENV abc=hello\nENV abc=bye def=$abc\nENV ghi=$abc',
    env: ['abc=bye', 'def=hello', 'ghi=bye'],
  },
  { name: '#', body: 'ENV str=foobarbaz\nENV A=${str#f*b} B=${str##f*b}', env: ['A=arbaz', 'B=az', 'str=foobarbaz'] },
  { name: '%', body: 'ENV s=foobarbaz\nENV A=${s%b*} B=${s%%b*}', env: ['A=foobar', 'B=foo', 's=foobarbaz'] },
  {
    name: '/',
    body: 'ENV s=foobarbaz\nENV A=${s/ba/fo} B=${s//ba/fo}',
    env: ['A=fooforbaz', 'B=fooforfoz', 's=foobarbaz'],
  },
  {
    name: 'an escaped name is a name',
    context: { $FOO: 'F' },
    body: 'ENV FOO=/bar\nWORKDIR ${FOO}\nADD . $FOO\nCOPY \\$FOO /quux',
    files: { 'bar/$FOO': file('F'), quux: file('F') },
  },
];

const temp = tempDirectory();
let ours: Builder;

beforeAll(async () => {
  ours = await ourBuilder(temp);
});
afterAll(() => ours.close());

it.each(CASES)('$name', async (test) => {
  const { context = {}, body, files, env, error } = test;
  const dir = join(temp, `case-${CASES.indexOf(test)}`);
  mkdirSync(dir);
  const build = { area: 'documented', name: test.name, context, kubefile: `FROM scratch\n${body}\n` };
  prepareCase(dir, build);
  const built = await ours.build(dir, build);
  if (error !== undefined) {
    expect(built).toEqual({ error: expect.stringMatching(error) });
    return;
  }
  expect(built).not.toHaveProperty('error');
  if ('error' in built) return;
  if (files !== undefined) {
    const lines = Object.entries(files).map(([path, what]) => `${path} ${what}`);
    expect(built.tree.filter((line) => !/ \d+:\d+ dir$/.test(line))).toEqual(lines);
  }
  if (env !== undefined) expect((built.config.Env as string[]).filter((one) => !one.startsWith('PATH='))).toEqual(env);
});

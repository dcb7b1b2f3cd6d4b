import { execFileSync } from 'node:child_process';
import { linkSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { BuildContext } from '../../../src/build/context.js';
import { pickSources } from '../../../src/build/copy/pick.js';
import type { Changes } from '../../../src/build/copy/place.js';
import type { SourceTree } from '../../../src/build/copy/source-tree.js';
import { planCopy } from '../../../src/build/copy-plan.js';
import { digestOf } from '../../../src/image/digest.js';
import { mergeTocs } from '../../../src/layers/merge.js';
import type { TocEntry } from '../../../src/layers/toc.js';
import { tempDirectory } from '../../support/temp.js';

const root = tempDirectory();
let next = 0;

/** A context made of `name: content`; a name that ends in `/` is a directory, content that begins with `->` a link. */
async function context(files: Readonly<Record<string, string>>): Promise<BuildContext> {
  const dir = join(root, String(next++));
  mkdirSync(dir);
  for (const [name, content] of Object.entries(files)) {
    const file = join(dir, name);
    mkdirSync(name.endsWith('/') ? file : dirname(file), { recursive: true });
    if (content.startsWith('->')) symlinkSync(content.slice(2), file);
    else if (!name.endsWith('/')) writeFileSync(file, content);
  }
  return BuildContext.open(dir, join(dir, 'Kubefile'));
}

/** An image of one layer with these entries: `name/` a directory, `name->target` a link, else a file. */
function image(...names: readonly string[]): ReturnType<typeof mergeTocs> {
  const entries = names.map((name): TocEntry => {
    const [path = '', linkTarget] = name.split('->');
    const common = { mode: 0o750, uid: 7, gid: 7, size: 0, mtime: 5, offset: 0 };
    if (linkTarget !== undefined) return { ...common, path, type: 'symlink', linkTarget };
    return name.endsWith('/')
      ? { ...common, path: path.slice(0, -1), type: 'dir' }
      : { ...common, path, type: 'file', digest: digestOf('') };
  });
  return mergeTocs([{ diffId: digestOf('layer'), unpackedSize: 0, entries }]);
}

interface Options {
  readonly base?: ReturnType<typeof image>;
  readonly workdir?: string;
  readonly dialect?: 'kubefile' | 'docker';
  readonly parents?: boolean;
  readonly link?: boolean;
  readonly changes?: Partial<Changes>;
}

/** Seconds that entries of the context get. */
const TIME = 946684800;

function copy(
  from: SourceTree,
  sources: readonly string[],
  destination: string,
  { base = image(), workdir = '/', dialect = 'kubefile', parents = false, link = false, changes = {} }: Options = {},
) {
  const { picks, warnings } = pickSources(
    sources.map((name) => ({ tree: from, name })),
    { dialect, parents },
  );
  const entries = planCopy({ picks, destination, workdir, base, link, parents, changes: { time: TIME, ...changes } });
  return { entries, warnings };
}

const paths = (plan: ReturnType<typeof copy>): string[] =>
  plan.entries.map(({ path, type }) => (type === 'dir' ? `${path}/` : path));

describe('what lands where', () => {
  it('a directory copies its contents', async () => {
    const from = await context({ 'amd64/bin/kubectl': '', 'amd64/Metadata': '{}' });
    expect(paths(copy(from, ['amd64'], '.'))).toEqual(['Metadata', 'bin/', 'bin/kubectl']);
    expect(paths(copy(from, ['./amd64/'], '/opt/'))).toEqual(['opt/', 'opt/Metadata', 'opt/bin/', 'opt/bin/kubectl']);
  });

  it('a directory matched by a wildcard keeps its name in a Kubefile and loses it in docker', async () => {
    const from = await context({ 'rootfs/etc/a': '', 'rootfs/scripts/b': '', 'rootfs/file': '' });
    expect(paths(copy(from, ['rootfs/*'], '.'))).toEqual(['etc/', 'etc/a', 'file', 'scripts/', 'scripts/b']);
    expect(paths(copy(from, ['rootfs/*'], '.', { dialect: 'docker' }))).toEqual(['a', 'b', 'file']);
  });

  it('a file takes the name of the destination, or keeps its own in a directory', async () => {
    const from = await context({ imageList: '' });
    expect(paths(copy(from, ['imageList'], 'manifests'))).toEqual(['manifests']);
    expect(paths(copy(from, ['imageList'], 'manifests', { base: image('manifests/') }))).toEqual([
      'manifests/',
      'manifests/imageList',
    ]);
    expect(paths(copy(from, ['imageList'], 'manifests/'))).toEqual(['manifests/', 'manifests/imageList']);
    expect(paths(copy(from, ['imageList'], 'x', { workdir: '/a/b' }))).toEqual(['a/', 'a/b/', 'a/b/x']);
    expect(paths(copy(from, ['imageList'], '../x', { workdir: '/a/b' }))).toEqual(['a/', 'a/x']);
  });

  it('a destination behind a link of the image goes where the link leads', async () => {
    const from = await context({ f: '' });
    expect(paths(copy(from, ['f'], '/lib/', { base: image('lib->usr/lib', 'usr/', 'usr/lib/') }))).toEqual([
      'usr/',
      'usr/lib/',
      'usr/lib/f',
    ]);
  });

  it('parents that exist keep their attributes, those that do not are 0755 root', async () => {
    const from = await context({ f: '' });
    const { entries } = copy(from, ['f'], '/a/new/f', { base: image('a/') });
    expect(entries).toMatchObject([
      { path: 'a', mode: 0o750, uid: 7, mtime: 5 },
      { path: 'a/new', mode: 0o755, uid: 0 },
      { path: 'a/new/f', uid: 0, gid: 0 },
    ]);
  });

  it('links inside a directory stay links; a link named as a source is followed', async () => {
    const from = await context({ 'dir/file': 'x', 'dir/link': '->file', current: '->dir', one: '->dir/file' });
    expect(copy(from, ['dir'], '/').entries).toMatchObject([
      { path: 'file' },
      { path: 'link', type: 'symlink', linkTarget: 'file' },
    ]);
    expect(paths(copy(from, ['current'], '/'))).toEqual(['file', 'link']);
    expect(copy(from, ['one'], '/').entries).toMatchObject([{ path: 'one', type: 'file', size: 1 }]);
  });

  it('hard links stay hard links', async () => {
    const from = await context({ 'd/b': 'same' });
    linkSync(join(from.root, 'd/b'), join(from.root, 'd/a'));
    expect(copy(from, ['d'], '/').entries).toMatchObject([
      { path: 'a', type: 'file', size: 4 },
      { path: 'b', type: 'hardlink', linkTarget: 'a' },
    ]);
  });

  it('setuid and setgid are taken off', async () => {
    const from = await context({ f: '' });
    execFileSync('chmod', ['6755', join(from.root, 'f')]);
    expect(copy(from, ['f'], '/').entries[0]?.mode).toBe(0o755);
  });

  it('what an ignore file hides is not there', async () => {
    const from = await context({
      '.dockerignore': '*.log\ndir\n!dir/keep\n',
      'a.log': '',
      b: '',
      'dir/keep': '',
      'dir/lose': '',
    });
    expect(paths(copy(from, ['.'], '/'))).toEqual(['.dockerignore', 'b', 'dir/', 'dir/keep']);
    expect(() => copy(from, ['a.log'], '/')).toThrowError(
      expect.objectContaining({ code: 'E_COPY', message: expect.stringContaining('.dockerignore hides it') }),
    );
  });
});

describe('mistakes', () => {
  it.each([
    [['nofile'], '/', 'nofile is not in the build context', undefined],
    [['rootfs/script'], '/', 'not in the build context', 'did you mean rootfs/scripts?'],
    [['*.none'], '/', 'matches nothing', undefined],
    [['file', 'other'], 'x', 'x is not a directory', 'write x/ if a directory is meant'],
    [['file/x'], '/', 'not in the build context', undefined],
    [['../secret'], '/', 'leaves the build context', undefined],
    [['out'], '/', 'leaves the build context', undefined],
    [['circle'], '/', 'too many symbolic links', undefined],
    [['['], '/', 'not a valid pattern', 'a "[" needs its "]"; write "\\[" for the character itself'],
    [['left.sock'], '/', 'is a socket', undefined],
  ])('COPY %j %s: %s', async (sources, destination, message, hint) => {
    const from = await context({ file: '', other: '', 'rootfs/scripts/a': '', out: '->../../etc', circle: '->circle' });
    // a process that is killed leaves its socket
    execFileSync(process.execPath, ['-e', "require('net').createServer().listen('left.sock', () => process.exit())"], {
      cwd: from.root,
    });
    expect(() => copy(from, sources, destination)).toThrowError(
      expect.objectContaining({
        code: 'E_COPY',
        message: expect.stringContaining(message),
        ...(hint === undefined ? {} : { hint }),
      }),
    );
  });

  it('a file over a directory, and a directory over a file', async () => {
    const from = await context({ file: '', 'dir/x/y': '' });
    expect(() => copy(from, ['file'], '/', { base: image('file/') })).toThrowError(
      /cannot copy the file file over the directory \/file/,
    );
    expect(() => copy(from, ['dir'], '/', { base: image('x') })).toThrowError(
      /cannot copy the directory dir\/x over the file or link \/x/,
    );
    expect(() => copy(from, ['file'], '/x/y', { base: image('x') })).toThrowError(
      /\/x of the image is not a directory/,
    );
  });

  it('a wildcard without a match is only a warning beside one that has some', async () => {
    const from = await context({ a: '' });
    const plan = copy(from, ['a', 'b*'], '/');
    expect(plan.warnings).toEqual([`b* matches nothing in the build context ${from.root}`]);
    expect(paths(plan)).toEqual(['a']);
  });

  it('an absolute link leads into the context, never to this machine', async () => {
    const from = await context({ abs: '->/etc', 'etc/mine': '' });
    expect(paths(copy(from, ['abs/*'], '/'))).toEqual(['mine']);
    expect(paths(copy(from, ['abs'], '/'))).toEqual(['mine']);
  });

  it('nothing outside the context is listed through a link', async () => {
    const from = await context({ 'd/etc': '->/etc', 'd/file': '' });
    expect(copy(from, ['d'], '/').entries).toMatchObject([
      { path: 'etc', type: 'symlink', linkTarget: '/etc' },
      { path: 'file' },
    ]);
    expect(() => copy(from, ['d/etc/passwd'], '/')).toThrowError(/not in the build context/);
    // matched, not named: it stays the link it is
    expect(copy(from, ['d/*'], '/x/').entries).toMatchObject([
      { path: 'x' },
      { path: 'x/etc', type: 'symlink', linkTarget: '/etc' },
      { path: 'x/file' },
    ]);
  });
});

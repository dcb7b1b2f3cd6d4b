import { execFileSync } from 'node:child_process';
import { linkSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { BuildContext } from '../../../src/build/context/context.js';
import { planCopy } from '../../../src/build/copy/copy-plan.js';
import { compileExcludes } from '../../../src/build/copy/exclude.js';
import { pickSources } from '../../../src/build/copy/pick.js';
import type { Changes } from '../../../src/build/copy/place.js';
import type { SourceTree } from '../../../src/build/copy/source-tree.js';
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
  return BuildContext.open(dir, join(dir, 'Kubefile'), 'kubefile');
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

describe('--exclude', () => {
  const files = {
    'dir/a.txt': '',
    'dir/sub/b.txt': '',
    'dir/sub/c.md': '',
    'dir/keep/d.txt': '',
    'hom.txt': '',
    'hom.md': '',
  };
  const excluding = (...patterns: string[]) => {
    const excludes = compileExcludes(patterns);
    return excludes === undefined ? {} : { changes: { excludes } };
  };

  it('is about the path below the destination', async () => {
    const from = await context(files);
    expect(paths(copy(from, ['dir'], '/x/', excluding('*.txt')))).toEqual([
      'x/',
      'x/keep/',
      'x/keep/d.txt',
      'x/sub/',
      'x/sub/b.txt',
      'x/sub/c.md',
    ]);
    expect(paths(copy(from, ['dir'], '/', excluding('**/*.txt')))).toEqual(['keep/', 'sub/', 'sub/c.md']);
    expect(paths(copy(from, ['dir'], '/', excluding('sub', 'keep/d*')))).toEqual(['a.txt', 'keep/']);
    expect(paths(copy(from, ['dir'], '/', excluding('**', '!sub/b.txt')))).toEqual(['sub/', 'sub/b.txt']);
    expect(paths(copy(from, ['hom*'], '/', excluding('*.txt')))).toEqual(['hom.md']);
    expect(paths(copy(from, ['d*'], '/', excluding('dir/sub')))).toEqual([
      'dir/',
      'dir/a.txt',
      'dir/keep/',
      'dir/keep/d.txt',
    ]);
    expect(paths(copy(from, ['d*'], '/', { dialect: 'docker', ...excluding('sub') }))).toEqual([
      'a.txt',
      'keep/',
      'keep/d.txt',
    ]);
  });

  it('of everything leaves the destination', async () => {
    expect(paths(copy(await context(files), ['dir'], '/6', excluding('*')))).toEqual(['6/']);
  });
});

describe('--parents', () => {
  const files = { 'x/a.txt': '', 'x/y/b.txt': '', 'x/y/deep/c.txt': '', 'z/y/d.txt': '', top: '' };
  const parents = { parents: true };

  it.each([
    [['x/a.txt', './z/y/d.txt'], '/p', ['p/', 'p/x/', 'p/x/a.txt', 'p/z/', 'p/z/y/', 'p/z/y/d.txt']],
    [['top'], '/p', ['p/', 'p/top']],
    [['/x/y'], '/', ['x/', 'x/y/', 'x/y/b.txt', 'x/y/deep/', 'x/y/deep/c.txt']],
    [['x/y/.'], '/', ['x/', 'x/y/', 'x/y/b.txt', 'x/y/deep/', 'x/y/deep/c.txt']],
    [['./x/./y/*.txt'], '/p/', ['p/', 'p/y/', 'p/y/b.txt']],
    [['x/./y/./deep'], '/', ['y/', 'y/deep/', 'y/deep/c.txt']],
    [['*/./y/**/*.txt'], '/', ['y/', 'y/b.txt', 'y/d.txt', 'y/deep/', 'y/deep/c.txt']],
    [['**/d.txt'], '/', ['z/', 'z/y/', 'z/y/d.txt']],
  ])('%j %s', async (sources, destination, expected) => {
    const from = await context(files);
    expect(paths(copy(from, sources, destination, parents))).toEqual(expected);
    expect(paths(copy(from, sources, destination, { ...parents, dialect: 'docker' }))).toEqual(expected);
  });

  it('gives new directories the modes they have, and leaves those that are there', async () => {
    const from = await context(files);
    execFileSync('chmod', ['700', join(from.root, 'x'), join(from.root, 'x/y')]);
    expect(copy(from, ['x/y/b.txt'], '/', { ...parents, base: image('x/') }).entries).toMatchObject([
      { path: 'x', mode: 0o750, uid: 7 },
      { path: 'x/y', mode: 0o700, uid: 0 },
      { path: 'x/y/b.txt' },
    ]);
  });

  it('refuses ..', async () => {
    const from = await context(files);
    expect(() => copy(from, ['x/../z'], '/', parents)).toThrowError(/".." cannot be used together with --parents/);
  });
});

describe('--link', () => {
  const options = { link: true, base: image('lib->usr/lib', 'usr/', 'usr/lib/', 'file') };

  it('does not follow links, and replaces what is no directory', async () => {
    const from = await context({ f: '' });
    expect(copy(from, ['f'], '/lib/', options).entries).toMatchObject([
      { path: 'lib', type: 'dir', mode: 0o755, uid: 0 },
      { path: 'lib/f', type: 'file' },
    ]);
    expect(copy(from, ['f'], '/file/f', options).entries).toMatchObject([
      { path: 'file', type: 'dir', mode: 0o755 },
      { path: 'file/f', type: 'file' },
    ]);
  });

  it('leaves the attributes of directories that are there', async () => {
    const from = await context({ f: '' });
    expect(copy(from, ['f'], '/usr/lib/', options).entries).toMatchObject([
      { path: 'usr', mode: 0o750, uid: 7 },
      { path: 'usr/lib', mode: 0o750, uid: 7 },
      { path: 'usr/lib/f' },
    ]);
    expect(() => copy(from, ['f'], '/usr', options)).toThrowError(
      expect.objectContaining({ hint: expect.stringContaining('/usr/') }),
    );
  });
});

describe('hard links', () => {
  it('do not lead to what a later source put in the place of their file', async () => {
    const from = await context({ 'one/x': 'same', 'two/x': 'different' });
    linkSync(join(from.root, 'one/x'), join(from.root, 'one/y'));
    linkSync(join(from.root, 'one/x'), join(from.root, 'one/z'));
    expect(copy(from, ['one', 'two'], '/').entries).toMatchObject([
      { path: 'x', type: 'file', size: 9 },
      { path: 'y', type: 'file', size: 4 },
      { path: 'z', type: 'hardlink', linkTarget: 'y' },
    ]);
  });
});

describe('times', () => {
  it('of the context are no part of an image, nor those of new directories', async () => {
    const from = await context({ 'd/f': '' });
    for (const { mtime } of copy(from, ['d'], '/new/').entries) expect(mtime).toBe(TIME);
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

  it('a link that leads nowhere is named as such', async () => {
    const from = await context({ current: '->releases/v2', 'releases/v1': '' });
    expect(() => copy(from, ['current'], '/')).toThrowError(
      /current is a symbolic link to releases\/v2, and that is not in the build context/,
    );
  });

  it('what no machine could unpack is refused', async () => {
    const deep = Array.from({ length: 300 }, () => 'd').join('/');
    const from = await context({ [`deep/${deep}/f`]: '', f: '' });
    expect(() => copy(from, ['deep'], '/')).toThrowError(/cannot be in an image: at most 255 directories/);
    expect(() => copy(from, ['f'], `/${'n'.repeat(256)}`)).toThrowError(/is longer than 255 bytes/);
    expect(() => copy(from, ['f'], `/${'long-name/'.repeat(450)}`)).toThrowError(/its path has \d+ bytes/);
  });

  it.each([
    ['n'.repeat(250), 20],
    ['d', 5000],
  ])('directories called %s, %d deep, are refused at once', async (name, depth) => {
    const from = await context({});
    // made step by step, as no path leads there
    const make = 'for (1..$ARGV[1]) { mkdir $ARGV[0]; chdir $ARGV[0] or die }';
    execFileSync('perl', ['-e', make, name, String(depth)], { cwd: from.root });
    try {
      expect(() => copy(from, ['.'], '/')).toThrowError(
        expect.objectContaining({
          code: 'E_COPY',
          message: expect.stringMatching(/^[nd/]{100}….* of the build context .* cannot be in an image/),
        }),
      );
    } finally {
      execFileSync('rm', ['-rf', join(from.root, name)]);
    }
  });

  it('a FIFO is never opened, and names of any bytes are kept', async () => {
    const from = await context({ 'd/new\nline': '', 'd/…': '' });
    execFileSync('mkfifo', [join(from.root, 'd/fifo')]);
    execFileSync('sh', ['-c', 'touch "$(printf \'d/latin\\351\')"'], { cwd: from.root });
    expect(paths(copy(from, ['d'], '/'))).toEqual(['fifo', 'latin\udce9', 'new\nline', '…'].sort());
    expect(copy(from, ['d/fifo'], '/').entries).toMatchObject([{ path: 'fifo', type: 'fifo' }]);
  });

  it('** does not go round in circles', async () => {
    const from = await context({ 'd/f': '', 'd/self': '->.', 'd/up': '->..' });
    expect(paths(copy(from, ['**/f'], '/'))).toEqual(['f']);
  });
});

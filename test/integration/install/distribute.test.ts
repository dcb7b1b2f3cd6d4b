import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { isSlipwayError } from '../../../src/base/errors.js';
import { connectHost } from '../../../src/hosts/connect.js';
import { digestOf } from '../../../src/image/digest.js';
import { compareHost, distribute, isDistributed } from '../../../src/install/files/distribute.js';
import type { WantedEntry } from '../../../src/install/files/rootfs.js';
import { type HostPaths, hostPaths } from '../../../src/install/state/cluster-paths.js';
import { comparePaths } from '../../../src/layers/toc.js';
import { tempDirectory } from '../../support/temp.js';

const scratch = tempDirectory('slipway-distribute-');
const host = connectHost('127.0.0.1');
afterAll(() => host.close());

let paths: HostPaths;
let source: string;
let count = 0;
beforeEach(() => {
  const place = join(scratch, String(count++));
  paths = hostPaths(join(place, 'host'), 'prod');
  source = join(place, 'source');
  mkdirSync(source, { recursive: true });
});

const MTIME = 1_700_000_000;
type Tree = Readonly<Record<string, string | null | { readonly link: string }>>;

/** An image of these files (`null` is a directory), with their contents in the source directory. */
function image(tree: Tree, { mode = 0o644 }: { readonly mode?: number } = {}): WantedEntry[] {
  const entries = Object.entries(tree).map(([path, content]): WantedEntry => {
    const common = { path, uid: 0, gid: 0, mtime: MTIME };
    if (content === null) return { ...common, type: 'dir', mode: 0o755 };
    if (typeof content === 'object') return { ...common, type: 'symlink', mode: 0o777, linkTarget: content.link };
    const file = join(source, digestOf(content).slice(7));
    writeFileSync(file, content);
    return {
      ...common,
      type: 'file',
      mode,
      size: Buffer.byteLength(content),
      digest: digestOf(content),
      content: { file },
    };
  });
  return entries.sort((a, b) => comparePaths(a.path, b.path));
}

/** Brings the host to what is wanted; gives the paths that travelled. */
async function send(wanted: readonly WantedEntry[]): Promise<string[]> {
  const found = await compareHost(host, paths, wanted);
  await distribute(host, paths, wanted, found);
  return found.difference.send.map(({ path }) => path);
}

async function isDone(wanted: readonly WantedEntry[]): Promise<boolean> {
  return isDistributed(await compareHost(host, paths, wanted));
}

const at = (path: string): string => join(paths.rootfs, path);
const text = (path: string): string => readFileSync(at(path), 'utf8');

const IMAGE: Tree = {
  bin: null,
  'bin/kubeadm': 'the program kubeadm',
  etc: null,
  'etc/a.yml': 'a: 1\n',
  'etc/b.yml': { link: 'a.yml' },
  registry: null,
  'registry/x': null,
  'registry/x/data': 'blob',
};

describe('distribution', () => {
  it('gives a new host everything, with modes and times, and nothing the second time', async () => {
    const wanted = image(IMAGE, { mode: 0o4755 });
    expect(await isDone(wanted)).toBe(false);
    expect(await send(wanted)).toHaveLength(8);
    expect(text('bin/kubeadm')).toBe('the program kubeadm');
    expect(statSync(at('bin/kubeadm')).mode & 0o7777).toBe(0o4755);
    expect(statSync(at('bin/kubeadm')).mtimeMs).toBe(MTIME * 1000);
    expect(text('etc/b.yml')).toBe('a: 1\n');
    expect(readdirSync(paths.base).sort()).toEqual(['.toc.gz', 'rootfs']);
    expect(await isDone(wanted)).toBe(true);
  });

  it('refuses before anything arrives what the disk has no room for, and goes on when it has', async () => {
    const disk = join(paths.base, '../..');
    mkdirSync(disk, { recursive: true });
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=4m', 'tmpfs', disk]);
    try {
      const small = image(IMAGE);
      await send(small);
      const big = image({ ...IMAGE, 'bin/kubelet': 'x'.repeat(8 * 1024 * 1024) });
      await expect(send(big)).rejects.toMatchObject({
        code: 'E_NO_SPACE',
        message: expect.stringMatching(/host 127\.0\.0\.1: .*\n\d+ kB are free, 8192 kB are to come/),
      });
      expect(readdirSync(paths.base).sort()).toEqual(['.toc.gz', 'rootfs']);
      expect(await isDone(small)).toBe(true);
      execFileSync('mount', ['-o', 'remount,size=32m', disk]);
      expect(await send(big)).toEqual(['bin/kubelet']);
    } finally {
      execFileSync('umount', [disk]);
    }
  });

  it('sends only what changed, and a file in use keeps its old content for who has it open', async () => {
    await send(image(IMAGE));
    const inode = statSync(at('etc/a.yml')).ino;
    const next = image({ ...IMAGE, 'etc/a.yml': 'a: 2\n', 'etc/new/c.yml': 'c\n', 'etc/new': null });
    expect(await send(next)).toEqual(['etc/a.yml', 'etc/new', 'etc/new/c.yml']);
    expect(text('etc/a.yml')).toBe('a: 2\n');
    expect(text('etc/new/c.yml')).toBe('c\n');
    expect(statSync(at('etc/a.yml')).ino).not.toBe(inode);
    expect(await isDone(next)).toBe(true);
  });

  it('removes what it gave, and leaves what others made', async () => {
    await send(image(IMAGE));
    writeFileSync(at('etc/mine'), 'mine');
    writeFileSync(at('registry/x/pushed'), 'pushed');
    const { 'registry/x/data': _data, 'registry/x': _x, registry: _registry, 'etc/b.yml': _b, ...rest } = IMAGE;
    await send(image(rest));
    expect(existsSync(at('etc/b.yml'))).toBe(false);
    expect(existsSync(at('registry/x/data'))).toBe(false);
    expect(text('registry/x/pushed')).toBe('pushed');
    expect(text('etc/mine')).toBe('mine');
  });

  it('mends what was changed by hand', async () => {
    const wanted = image(IMAGE);
    await send(wanted);
    writeFileSync(at('etc/a.yml'), 'changed by hand\n');
    chmodSync(at('bin/kubeadm'), 0o600);
    rmSync(at('registry/x'), { recursive: true });
    symlinkSync('/etc/passwd', at('registry/x'));
    rmSync(at('etc/b.yml'));
    mkdirSync(at('etc/b.yml'));
    writeFileSync(at('etc/b.yml/inside'), 'x');
    chmodSync(at('etc'), 0o700);
    expect(await isDone(wanted)).toBe(false);
    await send(wanted);
    expect(text('etc/a.yml')).toBe('a: 1\n');
    expect(lstatSync(at('etc/b.yml')).isSymbolicLink()).toBe(true);
    expect(text('registry/x/data')).toBe('blob');
    expect(statSync(at('etc')).mode & 0o777).toBe(0o755);
    expect(await isDone(wanted)).toBe(true);
  });

  it('never writes through a link that was put in its way', async () => {
    const wanted = image(IMAGE);
    await send(wanted);
    const outside = join(scratch, `outside-${count}`);
    mkdirSync(outside);
    writeFileSync(join(outside, 'a.yml'), 'not yours');
    rmSync(at('etc'), { recursive: true });
    symlinkSync(outside, at('etc'));
    await send(wanted);
    expect(readFileSync(join(outside, 'a.yml'), 'utf8')).toBe('not yours');
    expect(text('etc/a.yml')).toBe('a: 1\n');
    expect(lstatSync(at('etc')).isDirectory()).toBe(true);
  });

  it('does not send again what arrived before its list was lost, unless it is another content', async () => {
    const wanted = image(IMAGE);
    await send(wanted);
    rmSync(paths.toc);
    writeFileSync(at('registry/x/data'), 'BLOB');
    utimesSync(at('registry/x/data'), MTIME, MTIME);
    expect(await send(wanted)).toEqual(['registry/x/data']);
    expect(text('registry/x/data')).toBe('blob');
    expect(await isDone(wanted)).toBe(true);
  });

  it('notices a change that size and time do not show, when it was cut off after the files and before the list', async () => {
    const before = image({ etc: null, 'etc/version': 'v1' });
    const after = image({ etc: null, 'etc/version': 'v2' });
    await send(before);
    const list = readFileSync(paths.toc);
    await send(after);
    // as if killed just before the new list was renamed into place
    renameSync(paths.toc, `${paths.toc}.next`);
    writeFileSync(paths.toc, list);
    expect(await send(before)).toEqual(['etc/version']);
    expect(text('etc/version')).toBe('v1');
  });

  it('takes names of any kind', async () => {
    const names = [
      "it's",
      'two words',
      '-rf',
      'new\nline',
      'back\\slash',
      '$(id)',
      'ünï',
      'x'.repeat(200),
      '\udcff\udc80',
    ];
    const tree = Object.fromEntries(
      names.flatMap((name) => [
        [`d/${name}`, name],
        [`e-${name}`, null],
        [`e-${name}/f`, 'f'],
      ]),
    );
    const wanted = image({ d: null, ...tree });
    await send(wanted);
    expect(await isDone(wanted)).toBe(true);
    // again, one by one: into directories that are there
    for (const name of ["it's", '-rf', 'new\nline', 'back\\slash', '$(id)', 'two words']) {
      writeFileSync(at(`d/${name}`), 'changed');
    }
    expect(await send(wanted)).toHaveLength(6);
    expect(await isDone(wanted)).toBe(true);
    rmSync(paths.toc);
    expect(await send(wanted)).toEqual([]);
    await send([]);
    expect(readdirSync(paths.rootfs)).not.toContain('d');
  });

  it('of a file that changed in the store meanwhile fails, and the host keeps what it had', async () => {
    await send(image(IMAGE));
    const next = image({ ...IMAGE, 'etc/a.yml': 'a: 2\n' });
    const changed = next.find(({ path }) => path === 'etc/a.yml');
    if (changed?.type === 'file' && 'file' in changed.content) writeFileSync(changed.content.file, 'a: X\n');
    await expect(send(next)).rejects.toSatisfy((error) => isSlipwayError(error, 'E_FILE_CHANGED', 'E_DIGEST_MISMATCH'));
    expect(text('etc/a.yml')).toBe('a: 1\n');
    if (changed?.type === 'file' && 'file' in changed.content) truncateSync(changed.content.file, 1);
    await expect(send(next)).rejects.toSatisfy((error) => isSlipwayError(error, 'E_FILE_CHANGED', 'E_HOST_COMMAND'));
    expect(text('etc/a.yml')).toBe('a: 1\n');
  });

  it('that is interrupted anywhere changes nothing by halves, and the next one ends it', async () => {
    const big = randomBytes(8 * 1024 * 1024).toString('base64');
    await send(image(IMAGE));
    const next = image({ ...IMAGE, 'bin/big': big, 'etc/a.yml': 'a: 2\n' });
    const found = await compareHost(host, paths, next);
    const abort = new AbortController();
    let sent = 0;
    const onBytes = (bytes: number): void => {
      sent += bytes;
      if (sent > 3_000_000) abort.abort(new Error('pulled the plug'));
    };
    await expect(distribute(host, paths, next, found, { signal: abort.signal, onBytes })).rejects.toThrow();
    expect(text('etc/a.yml')).toBe('a: 1\n');
    expect(existsSync(at('bin/big'))).toBe(false);
    expect(await send(next)).toEqual(['bin/big', 'etc/a.yml']);
    expect(text('bin/big')).toBe(big);
    expect(existsSync(paths.incoming)).toBe(false);
  });

  it('sends ten thousand files in one stream, and looks at them in one round trip', async () => {
    const tree: Record<string, string | null> = {};
    for (let dir = 0; dir < 100; dir++) {
      tree[`d${dir}`] = null;
      for (let file = 0; file < 100; file++) tree[`d${dir}/f${file}`] = `${dir} ${file}`;
    }
    const wanted = image(tree);
    await send(wanted);
    expect(await isDone(wanted)).toBe(true);
    for (let dir = 0; dir < 100; dir++) rmSync(at(`d${dir}/f7`));
    expect(await send(wanted)).toHaveLength(100);
    expect(await isDone(wanted)).toBe(true);
  });
});

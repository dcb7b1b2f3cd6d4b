import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { tarBlocks } from '../../../../src/layers/tar-blocks.js';
import type { PackEntry } from '../../../../src/layers/toc.js';
import { imageFile, imageTime, imageTree } from '../../../support/image-tree.js';
import { mustSlipway, slipway } from '../../../support/slipway.js';
import { tempDirectory } from '../../../support/temp.js';
import { writeTree } from '../../../support/write-tree.js';

const home = tempDirectory();
const root = join(home, 'store');
let count = 0;

function context(kubefile: string, files: Readonly<Record<string, string>> = {}): string {
  return writeTree(join(home, 'contexts', String(count++)), { Kubefile: kubefile, ...files });
}

function build(name: string, dir: string, ...args: string[]): Promise<string> {
  return mustSlipway(['build', '-q', '-t', name, ...args, dir], { root });
}

/** A tar of these entries, without any of the checks that a layer gets. */
async function tar(...entries: readonly (Partial<PackEntry> & Pick<PackEntry, 'path' | 'type'>)[]): Promise<Buffer> {
  const blocks: Buffer[] = [];
  const whole = entries.map((entry) => ({ mode: 0o644, uid: 0, gid: 0, size: 0, mtime: 1e9, ...entry }));
  for await (const block of tarBlocks(whole, {})) blocks.push(Buffer.from(block));
  return Buffer.concat(blocks);
}

const text = (content: string) => ({ size: content.length, content: { bytes: Buffer.from(content) } });

/** `tree/` with everything that an archive keeps. */
function sampleTree(dir: string): void {
  writeTree(join(dir, 'tree'), { 'bin/tool': 'tool', 'etc/conf': 'conf' });
  symlinkSync('../bin/tool', join(dir, 'tree/etc/link'));
  execFileSync('ln', [join(dir, 'tree/bin/tool'), join(dir, 'tree/bin/hard')]);
  execFileSync('chmod', ['4750', join(dir, 'tree/bin/tool')]);
  execFileSync('mkfifo', [join(dir, 'tree/pipe')]);
  utimesSync(join(dir, 'tree/etc/conf'), 1e9, 1e9);
}

const SAMPLE = [
  'x 755 0:0 dir',
  'x/bin 755 11:12 dir',
  'x/bin/hard 4750 11:12 file',
  'x/bin/tool 4750 11:12 hardlink x/bin/hard',
  'x/etc 755 11:12 dir',
  'x/etc/conf 644 11:12 file',
  'x/etc/link 777 11:12 symlink ../bin/tool',
  'x/pipe 644 11:12 fifo',
];

describe('ADD of an archive', () => {
  it.each([
    ['plain', []],
    ['gzip', ['-z']],
    ['zstd', ['--zstd']],
    ['xz', ['-J']],
    ['bzip2', ['-j']],
  ])('%s is unpacked, whatever its name is', async (name, flags) => {
    const dir = context('FROM scratch\nADD file.txt /x\n');
    sampleTree(dir);
    execFileSync('tar', [
      ...flags,
      '--owner=11',
      '--group=12',
      '-C',
      join(dir, 'tree'),
      '-cf',
      join(dir, 'file.txt'),
      'bin',
      'etc',
      'pipe',
    ]);
    await build(`archive:${name}`, dir);
    expect(await imageTree(root, `archive:${name}`)).toEqual(SAMPLE);
    expect(await imageFile(root, `archive:${name}`, 'x/etc/conf')).toBe('conf');
    expect(await imageFile(root, `archive:${name}`, 'x/bin/tool')).toBe('tool');
    expect(await imageTime(root, `archive:${name}`, 'x/etc/conf')).toBe(1e9);
    expect(readdirSync(join(root, 'tmp'))).toEqual([]);
    const { stderr } = await slipway(['build', '-t', `archive:${name}`, dir], { root });
    expect(stderr).toContain('1/1] cached');
    // the times of the archive are its own business, those of its file are nobody's
    utimesSync(join(dir, 'file.txt'), 2e9, 2e9);
    expect((await slipway(['build', dir], { root })).stderr).toContain('1/1] cached');
    writeFileSync(join(dir, 'file.txt'), await tar({ path: 'other', type: 'file', ...text('!') }));
    await build(`archive:${name}`, dir);
    expect(await imageTree(root, `archive:${name}`)).toEqual(['x 755 0:0 dir', 'x/other 644 0:0 file']);
  });

  it('what only looks like one is copied as it is, and so is one inside a directory or for COPY', async () => {
    const dir = context('FROM scratch\nADD a.tar b.tar.gz c.gz /\nADD dir /dir/\nCOPY real.tar /\n', {
      'a.tar': 'no tar',
    });
    writeFileSync(
      join(dir, 'b.tar.gz'),
      Buffer.from([0x1f, 0x8b, 8, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]),
    );
    writeFileSync(join(dir, 'c.gz'), gzipSync('some text that is no tar'.repeat(100)));
    const real = await tar({ path: 'f', type: 'file' });
    mkdirSync(join(dir, 'dir'));
    writeFileSync(join(dir, 'dir/inner.tar'), real);
    writeFileSync(join(dir, 'real.tar'), real);
    await build('no-archive', dir);
    expect(await imageTree(root, 'no-archive')).toEqual([
      'a.tar 644 0:0 file',
      'b.tar.gz 644 0:0 file',
      'c.gz 644 0:0 file',
      'dir 755 0:0 dir',
      'dir/inner.tar 644 0:0 file',
      'real.tar 644 0:0 file',
    ]);
  });

  it('follows links of the image and of the archive inside the image, and replaces what is in its way', async () => {
    const dir = context('FROM scratch\nCOPY base /\nADD a.tar /\n', {
      'base/usr/lib/old': '',
      'base/file': 'old',
      'base/becomes-file/gone': '',
      'base/emptied/gone': '',
    });
    symlinkSync('usr/lib', join(dir, 'base/lib'));
    symlinkSync('/usr', join(dir, 'base/replaced'));
    writeFileSync(
      join(dir, 'a.tar'),
      await tar(
        { path: 'lib/new', type: 'file', ...text('new') },
        { path: 'file', type: 'file', ...text('new') },
        { path: 'out', type: 'symlink', linkTarget: '../../../../etc' },
        { path: 'out/passwd', type: 'file', ...text('inside') },
        { path: 'replaced', type: 'dir', mode: 0o700 },
        { path: 'replaced/x', type: 'file' },
        { path: 'becomes-file', type: 'file', ...text('f') },
        { path: 'emptied', type: 'file' },
        { path: 'emptied', type: 'dir', mode: 0o755 },
        { path: 'emptied/kept', type: 'file' },
      ),
    );
    await build('links', dir);
    expect(await imageTree(root, 'links')).toEqual([
      'becomes-file 644 0:0 file',
      'emptied 755 0:0 dir',
      'emptied/kept 644 0:0 file',
      'etc 755 0:0 dir',
      'etc/passwd 644 0:0 file',
      'file 644 0:0 file',
      'lib 777 0:0 symlink usr/lib',
      'out 777 0:0 symlink ../../../../etc',
      'replaced 700 0:0 dir',
      'replaced/x 644 0:0 file',
      'usr 755 0:0 dir',
      'usr/lib 755 0:0 dir',
      'usr/lib/new 644 0:0 file',
      'usr/lib/old 644 0:0 file',
    ]);
    expect(await imageFile(root, 'links', 'file')).toBe('new');
  });

  it('--chown is for the directories that are made, as in Docker', async () => {
    const dir = context('FROM scratch\nADD --chown=3:4 --chmod=600 a.tar /new/\n');
    writeFileSync(join(dir, 'a.tar'), await tar({ path: 'f', type: 'file', uid: 1, gid: 2 }));
    await build('chowned', dir);
    expect(await imageTree(root, 'chowned')).toEqual(['new 755 3:4 dir', 'new/f 644 1:2 file']);
  });

  it.each([
    ['a path with ..', { path: '../../escape', type: 'file' }, /E_UNSAFE_ARCHIVE|leaves the root/],
    ['a hard link out', { path: 'f', type: 'hardlink', linkTarget: '../../etc/passwd' }, /leaves the root/],
    ['a hard link to nothing', { path: 'f', type: 'hardlink', linkTarget: 'etc/passwd' }, /which is no file before it/],
    ['a device', { path: 'sda', type: 'block', devMajor: 8, devMinor: 0 }, /is a device/],
    ['a mark of a layer', { path: 'd/.wh.x', type: 'file' }, /names beginning with \.wh\./],
  ] as const)('%s is refused', async (_, entry, message) => {
    const dir = context('FROM scratch\nADD a.tar /\n');
    writeFileSync(join(dir, 'a.tar'), await tar(entry));
    const { code, stderr } = await slipway(['build', dir], { root });
    expect(code).toBe(1);
    expect(stderr).toMatch(message);
    expect(stderr).toContain('Kubefile:2:5');
  });

  it('an absolute path is one of the image', async () => {
    const dir = context('FROM scratch\nADD a.tar /x/\n');
    writeFileSync(join(dir, 'a.tar'), await tar({ path: '/etc/f', type: 'file' }));
    await build('absolute', dir);
    expect(await imageTree(root, 'absolute')).toEqual(['x 755 0:0 dir', 'x/etc 755 0:0 dir', 'x/etc/f 644 0:0 file']);
  });

  it('a truncated one is refused and leaves nothing', async () => {
    const dir = context('FROM scratch\nADD a.tar.gz /\n');
    const whole = gzipSync(await tar({ path: 'f', type: 'file', ...text('content'.repeat(10000)) }));
    writeFileSync(join(dir, 'a.tar.gz'), whole.subarray(0, whole.length - 40));
    const { code, stderr } = await slipway(['build', dir], { root });
    expect(code).toBe(1);
    expect(stderr).toMatch(/unpacking a\.tar\.gz: .*ends too early/);
    expect(readdirSync(join(root, 'tmp'))).toEqual([]);
  });

  it('names the package when a program is missing', async () => {
    const dir = context('FROM scratch\nADD a.tar.xz /\n');
    writeFileSync(join(dir, 'a.tar'), await tar({ path: 'f', type: 'file' }));
    execFileSync('xz', [join(dir, 'a.tar')]);
    const bin = join(home, 'bin');
    mkdirSync(bin);
    symlinkSync(execFileSync('which', ['flock'], { encoding: 'utf8' }).trim(), join(bin, 'flock'));
    const { stderr } = await slipway(['build', dir], { root, env: { PATH: bin } });
    expect(stderr).toMatch(/xz is needed for archives compressed with xz[\s\S]*apt install xz-utils/);
  });

  it('devices come along in an ordinary container image', async () => {
    const dir = context('# dialect=docker\nFROM scratch\nADD a.tar /\n');
    writeFileSync(join(dir, 'a.tar'), await tar({ path: 'null', type: 'char', devMajor: 1, devMinor: 3 }));
    await build('device', dir);
    expect(await imageTree(root, 'device')).toEqual(['null 644 0:0 char']);
  });
});

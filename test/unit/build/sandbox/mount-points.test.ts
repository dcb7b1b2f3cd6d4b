import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ensureRootfsDirectory, makeMountPoints } from '../../../../src/build/sandbox/mount-points.js';
import { readRootfsFile } from '../../../../src/build/sandbox/rootfs-walk.js';

let home = '';
let rootfs = '';
let outside = '';

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'slipway-mount-points-'));
  rootfs = join(home, 'rootfs');
  outside = join(home, 'outside');
  mkdirSync(rootfs);
  mkdirSync(outside);
});

afterEach(() => rmSync(home, { recursive: true, force: true }));

const file = (path: string) => ({ path, kind: 'file' as const });
const directory = (path: string) => ({ path, kind: 'directory' as const });
const mtime = (path: string): number => lstatSync(path).mtimeMs;

describe('mount points in a rootfs', () => {
  it('are made with their parents and taken away with them', () => {
    const points = makeMountPoints(rootfs, [
      directory('/proc'),
      file('/run/secrets/token'),
      file('/run/secrets/other'),
    ]);
    expect(points.paths).toEqual(['/proc', '/run/secrets/token', '/run/secrets/other']);
    expect(lstatSync(join(rootfs, 'run/secrets/token')).isFile()).toBe(true);
    expect(lstatSync(join(rootfs, 'run/secrets')).mode & 0o777).toBe(0o755);
    points.remove();
    expect(readdirSync(rootfs)).toEqual([]);
  });

  it('leave what was there before, and its times', () => {
    mkdirSync(join(rootfs, 'etc'));
    writeFileSync(join(rootfs, 'etc/hosts'), '');
    utimesSync(join(rootfs, 'etc'), 1000, 2000);
    utimesSync(rootfs, 1000, 3000);
    const points = makeMountPoints(rootfs, [directory('/proc'), file('/etc/hosts'), file('/etc/resolv.conf')]);
    points.remove();
    expect(readdirSync(rootfs)).toEqual(['etc']);
    expect(readdirSync(join(rootfs, 'etc'))).toEqual(['hosts']);
    expect([mtime(join(rootfs, 'etc')), mtime(rootfs)]).toEqual([2_000_000, 3_000_000]);
  });

  it('leave what the command made of them', () => {
    utimesSync(rootfs, 1000, 3000);
    const points = makeMountPoints(rootfs, [file('/run/secrets/token'), file('/a'), file('/b'), directory('/c')]);
    writeFileSync(join(rootfs, 'run/app.pid'), '1');
    writeFileSync(join(rootfs, 'a'), 'content');
    rmSync(join(rootfs, 'b'));
    rmSync(join(rootfs, 'c'), { recursive: true });
    writeFileSync(join(rootfs, 'c'), '');
    utimesSync(rootfs, 5000, 5000);
    points.remove();
    expect(readdirSync(rootfs).sort()).toEqual(['a', 'c', 'run']);
    expect(readdirSync(join(rootfs, 'run'))).toEqual(['app.pid']);
    // Changed by the command: the old time must not come back.
    expect(mtime(rootfs)).toBeGreaterThan(3_000_000);
  });

  it('are found through links, which stay inside', () => {
    mkdirSync(join(rootfs, 'etc'));
    mkdirSync(join(rootfs, 'private'));
    symlinkSync('../../../../../private/net/resolv.conf', join(rootfs, 'etc/resolv.conf'));
    symlinkSync(join(outside, 'hosts'), join(rootfs, 'etc/hosts'));
    writeFileSync(join(outside, 'hosts'), 'of the machine');
    const points = makeMountPoints(rootfs, [file('/etc/resolv.conf'), file('/etc/hosts')]);
    expect(points.paths).toEqual(['/private/net/resolv.conf', join(outside, 'hosts')]);
    expect(existsSync(join(rootfs, outside, 'hosts'))).toBe(true);
    points.remove();
    expect(existsSync(join(rootfs, 'tmp'))).toBe(false);
    expect(readdirSync(join(rootfs, 'private'))).toEqual([]);
    expect(readdirSync(outside)).toEqual(['hosts']);
  });

  it('are not looked for through a parent that has become a link (CVE-2024-23652)', () => {
    mkdirSync(join(outside, 'secrets'));
    writeFileSync(join(outside, 'secrets/token'), '');
    const points = makeMountPoints(rootfs, [file('/run/secrets/token')]);
    renameSync(join(rootfs, 'run'), join(rootfs, 'moved'));
    symlinkSync(outside, join(rootfs, 'run'));
    points.remove();
    expect(existsSync(join(outside, 'secrets/token'))).toBe(true);
  });

  it('are not made below another mount', () => {
    const points = makeMountPoints(rootfs, [directory('/cache'), directory('/cache/sub'), file('/cache/file')]);
    expect(readdirSync(join(rootfs, 'cache'))).toEqual([]);
    points.remove();
    expect(readdirSync(rootfs)).toEqual([]);
  });

  it('must be of the right kind, and nothing stays when one is not', () => {
    writeFileSync(join(rootfs, 'file'), 'x');
    mkdirSync(join(rootfs, 'dir'));
    const make = (wanted: ReturnType<typeof file | typeof directory>) => () =>
      makeMountPoints(rootfs, [directory('/new'), wanted]);
    for (const wanted of [directory('/file'), file('/dir'), file('/file/below')])
      expect(make(wanted)).toThrow(expect.objectContaining({ code: 'E_MOUNT' }));
    expect(readdirSync(rootfs).sort()).toEqual(['dir', 'file']);
  });

  it('survive a circle of links', () => {
    symlinkSync('b', join(rootfs, 'a'));
    symlinkSync('a', join(rootfs, 'b'));
    expect(() => makeMountPoints(rootfs, [file('/a/x')])).toThrow('too many links');
  });

  it('cannot be asked for above the rootfs', () => {
    expect(makeMountPoints(rootfs, [directory('/../../up')]).paths).toEqual(['/up']);
    expect(readdirSync(rootfs)).toEqual(['up']);
    expect(readdirSync(home).sort()).toEqual(['outside', 'rootfs']);
  });
});

it('a working directory is made through links inside the rootfs, and stays', () => {
  mkdirSync(join(rootfs, 'srv'));
  symlinkSync('/srv', join(rootfs, 'app'));
  expect(ensureRootfsDirectory(rootfs, '/app/data/x', [])).toBe('/srv/data/x');
  expect(lstatSync(join(rootfs, 'srv/data/x')).isDirectory()).toBe(true);
  expect(ensureRootfsDirectory(rootfs, '/', [])).toBe('/');
});

describe('a file of a rootfs', () => {
  it('is read inside it only', () => {
    writeFileSync(join(outside, 'passwd'), 'of the machine');
    mkdirSync(join(rootfs, 'etc'));
    symlinkSync(join(outside, 'passwd'), join(rootfs, 'etc/passwd'));
    expect(readRootfsFile(rootfs, '/etc/passwd', 100)).toBeUndefined();
    writeFileSync(join(rootfs, 'etc/group'), 'root:x:0:');
    expect(readRootfsFile(rootfs, '/etc/group', 100)).toBe('root:x:0:');
    expect(() => readRootfsFile(rootfs, '/etc/group', 3)).toThrow(expect.objectContaining({ code: 'E_UNSUPPORTED' }));
  });
});

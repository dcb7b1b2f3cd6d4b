import { execFileSync, spawn } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { basename, join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { MEDIA } from '../../../src/image/media-types.js';
import { fuseObstacle } from '../../../src/layers/fuse-overlay.js';
import { Store } from '../../../src/store/store.js';
import { dir, file, putLayeredImage, whiteout } from '../../support/layered-image.js';
import { LAUNCHER, mustSlipway, slipway, startSlipway } from '../../support/slipway.js';
import { tempDirectory } from '../../support/temp.js';
import { processesWith } from '../build/sandbox/fixture.js';
import { putDocument } from '../registry/support/images.js';
import { must, run, start } from '../registry/support/programs.js';

const home = tempDirectory();
const root = join(home, 'store');
const noFuse = await fuseObstacle();
if (noFuse !== undefined) process.stdout.write(`fuse-overlayfs is not tried: ${noFuse}\n`);
const KINDS = ['overlay', ...(noFuse === undefined ? ['fuse'] : []), 'copy'];

const ok = (...args: string[]): Promise<string> => mustSlipway(args, { root });
const mounts = async () =>
  JSON.parse(await ok('mount', '--json')) as { directory: string; kind: string; visible: string }[];
let count = 0;
const fresh = (): string => join(home, `place-${count++}`);

beforeAll(async () => {
  await putLayeredImage(root, 'app:1', [
    [dir('etc'), file('etc/a', 'A'), file('etc/gone', ''), file('su', 'x', { mode: 0o4755 })],
    [dir('etc'), whiteout('etc/gone'), file('etc/b', 'B', { uid: 3 })],
  ]);
  await putLayeredImage(root, 'other:1', [[file('other', '')]]);
  const store = await Store.open(root);
  const empty = { mediaType: MEDIA.empty, ...(await store.putBlob(Buffer.from('{}'))) };
  await store.tag(
    'sbom:1',
    await putDocument(store, {
      schemaVersion: 2,
      mediaType: MEDIA.manifest,
      artifactType: 'text/plain',
      config: empty,
      layers: [empty],
    }),
  );
  await store.close();
});
/** Nothing is mounted, and nothing is left of what was. */
async function expectClean(): Promise<void> {
  await ok('umount', '--all');
  expect(await mounts()).toEqual([]);
  expect(readFileSync('/proc/self/mountinfo', 'utf8')).not.toContain(home);
  expect(existsSync(join(root, 'data/mounts')) ? readdirSync(join(root, 'data/mounts')) : []).toEqual([]);
  await ok('tag', 'app:1', 'app:1'); // whoever writes sweeps
  expect(readdirSync(join(root, 'tmp'))).toEqual([]);
}
afterEach(expectClean);
afterAll(() => slipway(['umount', '--all', '--lazy'], { root }));

describe.each(KINDS)('a mount by %s', (kind) => {
  const mount = async (...args: string[]): Promise<string> => (await ok('mount', '--as', kind, ...args)).trim();

  it('shows the image, in the store or elsewhere, once for each place', async () => {
    const place = fresh();
    const own = await mount('app:1');
    expect(await mount('app:1')).toBe(own);
    expect(await mount('app:1', place)).toBe(place);
    expect(await mount('app:1', place)).toBe(place);
    for (const at of [own, place]) {
      expect(readdirSync(join(at, 'etc'))).toEqual(['a', 'b']);
      expect(statSync(join(at, 'etc/b')).uid).toBe(3);
    }
    expect(await mounts()).toHaveLength(2);
    for (const { kind: shown, visible } of await mounts()) expect([shown, visible]).toEqual([kind, 'here']);
    // Strangers' programs get no rights where others may come.
    if (kind === 'copy') expect(statSync(join(place, 'su')).mode & 0o7777).toBe(0o755);
    else expect(readFileSync('/proc/self/mountinfo', 'utf8')).toContain(` ${place} ro,nosuid,nodev`);
    expect((await ok('umount', 'app:1')).trim().split('\n').sort()).toEqual([own, place].sort());
    expect(existsSync(own)).toBe(false);
    expect(readdirSync(place)).toEqual([]);
  });

  it('keeps its image', async () => {
    const store = { root: fresh() };
    await putLayeredImage(store.root, 'kept:1', [[file('kept', kind)]]);
    await putLayeredImage(store.root, 'gone:1', [[file('gone', kind)]]);
    const at = (await mustSlipway(['mount', '--as', kind, 'kept:1', fresh()], store)).trim();
    expect((await slipway(['rmi', 'kept:1'], store)).stderr).toContain(`kept:1 is mounted at ${at}`);
    await mustSlipway(['prune', '--all'], store);
    expect(JSON.parse(await mustSlipway(['images', '--json'], store))).toMatchObject([{ name: 'kept:1' }]);
    await mustSlipway(['tag', 'kept:1', 'second:1'], store);
    rmSync(join(store.root, 'index.json'));
    await mustSlipway(['prune', '--all'], store);
    expect(readFileSync(join(at, 'kept'), 'utf8')).toBe(kind);
    expect((await slipway(['store', 'check', '--content'], store)).code).toBe(0);
    await mustSlipway(['umount', at], store);
    await mustSlipway(['prune', '--all'], store);
    expect(readdirSync(join(store.root, 'blobs/sha256'))).toEqual([]);
    const { bytes } = JSON.parse(await mustSlipway(['du', '--json'], store)).unpackedLayers;
    expect(bytes).toBeLessThan(10_000);
  });

  it('is not taken away while somebody uses it, unless that is wanted', async () => {
    const at = await mount('app:1', fresh());
    const user = spawn('sleep', ['1000'], { cwd: join(at, 'etc'), stdio: 'ignore' });
    try {
      await expect.poll(() => cwdOf(user.pid), { timeout: 60_000 }).toBe(join(at, 'etc'));
      if (kind === 'copy') {
        await ok('umount', at);
        return;
      }
      const { code, stderr } = await slipway(['umount', at], { root });
      expect([code, stderr]).toEqual([1, expect.stringContaining(`${at} is in use by sleep (${user.pid})`)]);
      expect(stderr).toContain(`slipway umount --lazy ${at}`);
      expect(await mounts()).toHaveLength(1);
      await ok('umount', '--lazy', at);
      expect(await mounts()).toEqual([]);
    } finally {
      user.kill('SIGKILL');
      await new Promise((done) => user.once('close', done));
    }
  });

  it('is made once when many want it at once, and each is told where', async () => {
    await putLayeredImage(root, 'many:1', [[file('a', kind)], [file('b', kind)], [file('c', kind)]]);
    const ended = await Promise.all(
      Array.from({ length: 20 }, () => startSlipway(['mount', '--as', kind, 'many:1'], { root }).ended),
    );
    expect(new Set(ended.map(({ code, stdout }) => `${code} ${stdout}`)).size).toBe(1);
    expect(ended[0]).toMatchObject({ code: 0 });
    const at = (ended[0]?.stdout ?? '').trim();
    expect(readFileSync(join(at, 'c'), 'utf8')).toBe(kind);
    const table = readFileSync('/proc/self/mountinfo', 'utf8').split('\n');
    expect(table.filter((line) => line.includes(` ${at} `))).toHaveLength(kind === 'copy' ? 0 : 1);
    const gone = await Promise.all(Array.from({ length: 5 }, () => startSlipway(['umount', '--all'], { root }).ended));
    expect(gone.map(({ code, stderr }) => [code, stderr])).toEqual(gone.map(() => [0, '']));
    await ok('rmi', 'many:1');
  });

  it.skipIf(kind === 'copy')('that somebody has taken away by hand is forgotten', async () => {
    const [own, place] = [await mount('app:1'), await mount('app:1', fresh())];
    await must('umount', [own]);
    await must('umount', [place]);
    expect(await mounts()).toEqual([]);
    expect(existsSync(own)).toBe(false);
    expect(await mount('app:1')).toBe(own);
  });

  it.skipIf(kind === 'copy')('that something else is mounted upon is left to whoever did that', async () => {
    const at = await mount('app:1', fresh());
    await must('mount', ['-t', 'tmpfs', 'tmpfs', at]);
    const { code, stderr } = await slipway(['umount', at], { root });
    expect([code, stderr]).toEqual([1, expect.stringContaining(`something else is mounted on top of app:1 at ${at}`)]);
    await must('umount', [at]);
    expect(await ok('umount', at)).toBe(`${at}\n`);
  });
});

function cwdOf(pid: number | undefined): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/cwd`);
  } catch {
    return undefined;
  }
}

describe('a copy', () => {
  it('can be changed, is no more than a copy, and its directory stays as it was', async () => {
    const place = fresh();
    mkdirSync(place, { mode: 0o2750 });
    chmodSync(place, 0o2750);
    const { stderr } = await slipway(['mount', '--as', 'copy', 'app:1', place], { root });
    expect(stderr).toContain(
      `mounted as a copy: changes do not reach the image, and "slipway umount ${place}" removes them`,
    );
    writeFileSync(join(place, 'etc/a'), 'changed');
    mkdirSync(join(place, 'mine'), { mode: 0 });
    expect(JSON.parse(await ok('du', '--json'))).toMatchObject({ copies: { count: 1 } });
    await ok('umount', place);
    expect([readdirSync(place), statSync(place).mode & 0o7777]).toEqual([[], 0o2750]);
    expect(await ok('mount', '--as', 'copy', 'app:1', place)).toBe(`${place}\n`);
    expect(readFileSync(join(place, 'etc/a'), 'utf8')).toBe('A');
  });

  it('whose directory is another one now is forgotten, and that is left alone', async () => {
    const place = fresh();
    await ok('mount', '--as', 'copy', 'app:1', place);
    mkdirSync(`${place}-other`);
    rmSync(place, { recursive: true });
    execFileSync('mv', [`${place}-other`, place]);
    writeFileSync(join(place, 'mine'), '');
    const { code, stderr } = await slipway(['umount', place], { root });
    expect([code, stderr]).toEqual([1, expect.stringContaining('nothing of this store is mounted at')]);
    expect(readdirSync(place)).toEqual(['mine']);
  });

  it('is what remains where overlayfs cannot have the layers', async () => {
    // overlayfs makes no whiteouts on another overlayfs.
    const [below, place] = [fresh(), fresh()];
    for (const name of ['lower', 'upper', 'work']) mkdirSync(join(below, name), { recursive: true });
    mkdirSync(place);
    await must('mount', [
      '-t',
      'overlay',
      '-o',
      `lowerdir=${below}/lower,upperdir=${below}/upper,workdir=${below}/work`,
      'overlay',
      place,
    ]);
    try {
      const there = join(place, 'store');
      await putLayeredImage(there, 'app:1', [
        [dir('d'), file('d/a', 'A'), file('d/gone', '')],
        [dir('d'), whiteout('d/gone')],
      ]);
      const { code, stdout, stderr } = await slipway(['mount', '--json', 'app:1'], { root: there });
      const { directory, kind } = JSON.parse(stdout);
      expect([code, kind, readdirSync(join(directory, 'd'))]).toEqual([0, 'copy', ['a']]);
      expect(stderr).toMatch(/note: mounted as a copy \(.*\): changes do not/);
      await mustSlipway(['umount', '--all'], { root: there });
      expect(readdirSync(join(there, 'data/mounts'))).toEqual([]);
    } finally {
      await must('umount', [place]);
    }
  });
});

describe('a copy that does not fit, or that root may make only', () => {
  it('leaves an empty directory on a full disk', async () => {
    const disk = fresh();
    mkdirSync(disk);
    await putLayeredImage(root, 'big:1', [
      [dir('d', { mode: 0o500 }), file('d/f', 'x'.repeat(200_000)), file('g', 'x'.repeat(200_000))],
    ]);
    await must('mount', ['-t', 'tmpfs', '-o', 'size=256k', 'tmpfs', disk]);
    try {
      const { code, stderr } = await slipway(['mount', '--as', 'copy', 'big:1', join(disk, 'at')], { root });
      expect([code, stderr]).toEqual([1, expect.stringContaining('no space left on the disk')]);
      expect(readdirSync(disk)).toEqual([]);
    } finally {
      await must('umount', [disk]);
    }
  });

  it('is what root has without the right to mount', async () => {
    const bare = ['--bounding-set=-sys_admin', '--inh-caps=-sys_admin', '--', process.execPath, LAUNCHER];
    const { stdout, stderr } = await run('setpriv', [...bare, 'mount', '--json', 'app:1'], {
      env: { SLIPWAY_ROOT: root },
    });
    expect(stderr).toMatch(/note: mounted as a copy \(overlayfs cannot be mounted: .*\): changes/);
    const { kind, directory } = JSON.parse(stdout);
    expect([kind, readdirSync(join(directory, 'etc'))]).toEqual(['copy', ['a', 'b']]);
  });
});

describe.skipIf(noFuse !== undefined)('a mount whose program has died', () => {
  it('is cleaned up, and can be made again', async () => {
    for (const place of [[], [fresh()]]) {
      const at = (await ok('mount', '--as', 'fuse', 'app:1', ...place)).trim();
      const [daemon = ''] = processesWith(at);
      process.kill(Number(daemon), 'SIGKILL');
      // What stat(2) asks for, the kernel may know itself.
      await expect.poll(() => failureOf(() => readdirSync(at)), { timeout: 60_000 }).toContain('ENOTCONN');
      if (place.length === 0) expect(await mounts()).toEqual([]);
      expect((await ok('mount', '--as', 'fuse', 'app:1', ...place)).trim()).toBe(at);
      expect(readdirSync(join(at, 'etc'))).toEqual(['a', 'b']);
      await ok('umount', at);
    }
  });
});

function failureOf(work: () => unknown): string {
  try {
    work();
    return '';
  } catch (error) {
    return String(error);
  }
}

describe('a mount in another mount namespace', () => {
  const outer = { root: fresh() };
  beforeAll(() => putLayeredImage(outer.root, 'inner:1', [[file('inner', 'yes')]]));
  const say = (...args: string[]): Promise<string> => mustSlipway(args, outer);

  /** Runs a script that mounts inner:1 in a namespace of its own, waits for a line, and looks into it. */
  async function inside(...unshare: string[]) {
    const script = 'at=$(node "$LAUNCHER" mount inner:1) && echo "ready $at"; read line; cat "$at/inner" || echo gone';
    const child = spawn('unshare', ['--mount', '--propagation', 'private', ...unshare, 'sh', '-c', script], {
      env: { ...process.env, SLIPWAY_ROOT: outer.root, LAUNCHER },
      stdio: ['pipe', 'pipe', 'ignore'],
    });
    let said = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      said += text;
    });
    const ended = new Promise((done) => child.once('close', done));
    await expect.poll(() => said, { timeout: 60_000 }).toMatch(/ready .*\n/);
    return {
      at: /ready (.*)/.exec(said)?.[1] ?? '',
      async end() {
        child.stdin.end('go on\n');
        await ended;
        return said.split('\n').slice(1).join('');
      },
    };
  }

  it('keeps its image as long as somebody is in that, and is told apart', async () => {
    const { at, end } = await inside();
    try {
      const listed = JSON.parse(await say('mount', '--json'));
      expect(listed).toEqual([
        { image: 'inner:1', directory: at, kind: 'overlay', visible: 'elsewhere', pid: expect.any(Number) },
      ]);
      const [{ pid }] = listed;
      expect(await say('mount')).toContain(`overlay (in another mount namespace, of process ${pid})`);
      expect((await slipway(['rmi', 'inner:1'], outer)).stderr).toContain('is mounted at');
      expect((await slipway(['mount', 'inner:1'], outer)).stderr).toContain(`in the mount namespace of process ${pid}`);
      await say('prune', '--all');
    } finally {
      expect(await end()).toBe('yes');
    }
    expect(JSON.parse(await say('mount', '--json'))).toEqual([]);
    expect(readdirSync(join(outer.root, 'data/mounts'))).toEqual([]);
  });

  // There, umount(8) is whatever program somebody has put in its place.
  it.each([[[]], [['--pid', '--fork', '--mount-proc']]])('is taken away only there (%j)', async (flags) => {
    const { at, end } = await inside(...flags);
    try {
      for (const lazy of [[], ['--lazy']]) {
        const { code, stderr } = await run(process.execPath, [LAUNCHER, 'umount', '--all', ...lazy], {
          env: { SLIPWAY_ROOT: outer.root },
        });
        expect([code, stderr]).toEqual([
          1,
          expect.stringMatching(/mounted at .* in the mount namespace of process \d+[\s\S]*take it away there/),
        ]);
      }
      expect(JSON.parse(await say('mount', '--json'))).toMatchObject([{ directory: at, visible: 'elsewhere' }]);
    } finally {
      expect(await end()).toBe('yes');
    }
    expect(JSON.parse(await say('mount', '--json'))).toEqual([]);
    expect(readdirSync(join(outer.root, 'data/mounts'))).toEqual([]);
  });

  it('of processes that cannot be asked is taken for mounted, until it is said that it shall be forgotten', async () => {
    const { at, end } = await inside();
    const other = ['--pid', '--fork', '--mount-proc', process.execPath, LAUNCHER];
    const asOther = (...args: string[]) => run('unshare', [...other, ...args], { env: { SLIPWAY_ROOT: outer.root } });
    try {
      const listed = JSON.parse((await asOther('mount', '--json')).stdout);
      expect(listed).toEqual([{ image: 'inner:1', directory: at, kind: 'overlay', visible: 'elsewhere' }]);
      expect((await asOther('umount', at)).stderr).toMatch(/in another mount namespace[\s\S]*slipway umount --lazy/);
      expect(await asOther('umount', '--lazy', at)).toMatchObject({ code: 0, stdout: `${at}\n` });
      expect(readdirSync(join(outer.root, 'data/mounts'))).toEqual([]);
    } finally {
      await end();
    }
  });

  it('is over after the next start of the machine', async () => {
    const at = (await ok('mount', 'other:1')).trim();
    await must('umount', [at]);
    const records = join(root, 'data/mounts');
    await ok('mount', 'other:1');
    const [name = ''] = readdirSync(records).filter((entry) => entry.endsWith('.json'));
    const record = JSON.parse(readFileSync(join(records, name), 'utf8'));
    record.seenIn = { ...record.seenIn, boot: 'another', mounts: 'mnt:[1]' };
    writeFileSync(join(records, name), JSON.stringify(record));
    await must('umount', [at]);
    // What is there now is somebody else's.
    mkdirSync(at, { recursive: true });
    expect(await mounts()).toEqual([]);
    expect(readdirSync(records)).toEqual([]);
  });
});

describe('what cannot be mounted is said', () => {
  it.each<[string, () => string[], string | RegExp]>([
    ['no such image', () => ['mount', 'nothing:1'], 'no image nothing:1 in the store'],
    ['an artifact', () => ['mount', 'sbom:1'], /sbom:1 is an artifact \(text\/plain\), not an image[\s\S]*hint/],
    ['a place that is not empty', () => ['mount', 'app:1', home], `${home} is not empty`],
    [
      'a place that is a file',
      () => ['mount', 'app:1', join(import.meta.dirname, basename(import.meta.filename))],
      'is no directory',
    ],
    ['a place below a file', () => ['mount', 'app:1', join(import.meta.filename, 'x')], 'is not a directory'],
    ['a mount point of others', () => ['mount', 'app:1', '/proc'], '/proc is a mount point already'],
    ['a place in the store', () => ['mount', 'app:1', join(root, 'data')], 'is in the store itself'],
    ['a kind that is none', () => ['mount', '--as', 'nfs', 'app:1'], 'Allowed choices are auto, overlay, fuse, copy'],
    ['what is not mounted', () => ['umount', 'app:1'], 'app:1 is not mounted'],
    ['a mount of others', () => ['umount', '/proc'], 'nothing of this store is mounted at /proc'],
  ])('%s', async (_, args, message) => {
    const { code, stdout, stderr } = await slipway(args(), { root });
    expect(stderr).toMatch(
      typeof message === 'string' ? new RegExp(message.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')) : message,
    );
    expect([code === 0, stdout]).toEqual([false, '']);
  });

  it('another image at a place that is taken', async () => {
    const at = (await ok('mount', 'app:1', fresh())).trim();
    const { code, stderr } = await slipway(['mount', 'other:1', at], { root });
    expect([code, stderr]).toEqual([1, expect.stringMatching(/already shows app:1[\s\S]*slipway umount/)]);
    expect((await slipway(['mount', '--as', 'copy', 'app:1', at], { root })).stderr).toContain(
      'already shows app:1 (overlay)',
    );
    symlinkSync(at, `${at}-link`);
    expect(await ok('umount', `${at}-link`)).toBe(`${at}\n`);
  });

  it('a store that is read-only', async () => {
    await ok('mount', 'app:1');
    await ok('umount', 'app:1');
    await must('mount', ['--bind', root, root]);
    await must('mount', ['-o', 'remount,bind,ro', root]);
    try {
      const place = fresh();
      for (const args of [
        ['mount', 'app:1'],
        ['mount', 'app:1', place],
      ]) {
        const { code, stderr } = await slipway(args, { root });
        expect([code, stderr]).toEqual([1, expect.stringMatching(/read-only[\s\S]*hint: .*--root/)]);
      }
      expect(existsSync(place)).toBe(false);
      expect(JSON.parse(await ok('mount', '--json'))).toEqual([]);
    } finally {
      await must('umount', [root]);
    }
  });
});

it('a mount is interrupted while it waits, and leaves nothing', async () => {
  // Somebody who holds the lock on the place.
  const at = (await ok('mount', 'other:1')).trim();
  const [record = ''] = readdirSync(join(root, 'data/mounts')).filter((name) => name.endsWith('.json'));
  await ok('umount', at);
  const lock = join(root, 'data/mounts', record.replace('.json', '.lock'));
  const holder = start('flock', ['--no-fork', lock, 'sh', '-c', 'echo held; exec sleep 1000']);
  try {
    await holder.waitFor(/held/);
    const waiting = startSlipway(['mount', 'other:1'], { root });
    await expect.poll(() => lockWaiters(lock), { timeout: 60_000 }).toBeGreaterThan(0);
    waiting.kill('SIGINT');
    expect(await waiting.ended).toMatchObject({ code: 130 });
  } finally {
    await holder.stop();
  }
  rmSync(lock);
});

/** Processes that wait for a lock on a file. */
function lockWaiters(path: string): number {
  const { ino } = statSync(path);
  return readFileSync('/proc/locks', 'utf8')
    .split('\n')
    .filter((line) => line.includes('->') && line.includes(`:${ino} `)).length;
}

import { execFileSync, spawn } from 'node:child_process';
import { chmodSync, chownSync, existsSync, mkdirSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { fuseObstacle } from '../../../src/layers/fuse-overlay.js';
import { dir, file, putLayeredImage, whiteout } from '../../support/layered-image.js';
import { mustSlipway } from '../../support/slipway.js';
import { tempDirectory } from '../../support/temp.js';
import { processesWith } from '../build/sandbox/fixture.js';
import { type Daemon, must, type Ran, run, start } from '../registry/support/programs.js';

/** An ordinary user: one that this machine knows, with subordinate ids (useradd gives them), and one in no file at all, as in many containers. */
interface User {
  readonly uid: number;
  readonly home: string;
}

const home = tempDirectory();
const PROJECT = fileURLToPath(new URL('../../..', import.meta.url));
const NAME = `slipm${process.pid}`;
const archive = join(home, 'images.tar');
let known: User;
let unknown: User;
/** Holds a mount namespace in which everybody may use /dev/fuse, as on most machines, and reach the project. */
let holder: Daemon;
let namespace: string;

const noFuse = (await fuseObstacle()) ?? deviceObstacle();
if (noFuse !== undefined) process.stdout.write(`fuse-overlayfs is not tried: ${noFuse}\n`);

/** Makes two nodes of the device /dev/fuse: one for everybody, one for root. */
function deviceObstacle(): string | undefined {
  try {
    for (const [name, mode] of [
      ['open', '666'],
      ['closed', '600'],
    ] as const) {
      execFileSync('mknod', [join(home, name), 'c', '10', '229'], { stdio: 'pipe' });
      chmodSync(join(home, name), Number.parseInt(mode, 8));
    }
    return undefined;
  } catch (error) {
    return `a device cannot be made here: ${String(error)}`;
  }
}

beforeAll(async () => {
  chmodSync(home, 0o755);
  execFileSync('useradd', ['--no-create-home', NAME]);
  const uid = Number(execFileSync('id', ['-u', NAME]).toString());
  known = newUser('known', uid);
  unknown = newUser('unknown', 3_100_000 + process.pid);
  mkdirSync(join(home, 'slipway'));
  const device = noFuse === undefined ? `mount --bind ${home}/open /dev/fuse && ` : '';
  const setUp = `${device}mount --bind ${PROJECT} ${home}/slipway && readlink /proc/self/ns/mnt && echo "ready $$" && exec sleep infinity`;
  holder = start('unshare', ['--mount', '--propagation', 'private', 'sh', '-c', setUp]);
  const [, pid] = await holder.waitFor(/ready (\d+)/);
  namespace = `/proc/${pid}/ns/mnt`;
  const root = join(home, 'store');
  await putLayeredImage(root, 'app:1', [
    [
      dir('etc'),
      file('etc/a', 'A', { uid: 5, gid: 6, mode: 0o640 }),
      file('etc/gone', ''),
      dir('old'),
      file('old/f', ''),
    ],
    [
      dir('etc'),
      whiteout('etc/gone'),
      whiteout('old'),
      dir('shut', { mode: 0o500 }),
      file('shut/f', 'S', { mode: 0o4755 }),
    ],
  ]);
  await putLayeredImage(root, 'dark:1', [
    [dir('dark', { mode: 0 }), file('dark/f', '', { mode: 0 }), file('light', '')],
  ]);
  await mustSlipway(['save', '-q', '-o', archive, 'app:1', 'dark:1'], { root });
  for (const user of [known, unknown]) expect((await as(user, ['load', '-q', '-i', archive])).code).toBe(0);
});
afterAll(async () => {
  await holder.stop();
  execFileSync('userdel', [NAME]);
});

function newUser(name: string, uid: number): User {
  const place = join(home, name);
  mkdirSync(place);
  chownSync(place, uid, uid);
  return { uid, home: place };
}

/** What runs a program as this user, in the namespace of the holder. @param before root runs that before. */
function words(user: User, before: readonly string[] = []): string[] {
  const become = ['setpriv', `--reuid=${user.uid}`, `--regid=${user.uid}`, '--clear-groups', '--'];
  const env = [
    'env',
    '-i',
    `PATH=${process.env.PATH}`,
    `HOME=${user.home}`,
    'NO_COLOR=1',
    `S=${home}/slipway/bin/slipway`,
  ];
  return [`--mount=${namespace}`, '--wd=/', '--', ...before, ...become, ...env];
}

/** Runs slipway. @param before root runs that before. */
function as(user: User, args: readonly string[], before: readonly string[] = []): Promise<Ran> {
  return run('nsenter', [...words(user, before), process.execPath, `${home}/slipway/bin/slipway`, ...args]);
}

/** Runs a script; `$S` is slipway. */
function script(user: User, text: string): Promise<Ran> {
  return run('nsenter', [...words(user), 'sh', '-c', text]);
}

async function ok(user: User, ...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await as(user, args);
  expect([code, stderr]).toEqual([0, expect.any(String)]);
  return stdout.trim();
}

afterEach(async () => {
  for (const user of [known, unknown]) {
    await ok(user, 'umount', '--all');
    const store = join(user.home, '.local/share/slipway');
    expect(
      readdirSync(join(store, 'data')).flatMap((name) =>
        name === 'mounts' ? readdirSync(join(store, 'data/mounts')) : [],
      ),
    ).toEqual([]);
    await ok(user, 'tag', 'app:1', 'app:1'); // whoever writes sweeps
    expect(readdirSync(join(store, 'tmp'))).toEqual([]);
  }
  const table = await must('nsenter', [`--mount=${namespace}`, 'cat', '/proc/self/mountinfo']);
  expect(table.split('\n').filter((line) => line.includes(`${home}/`) && line.includes('data/mounts'))).toEqual([]);
});

describe.skipIf(noFuse !== undefined)('by fuse-overlayfs', () => {
  it('an ordinary user sees an image outside of any namespace, all files being its own', async () => {
    const { code, stdout, stderr } = await as(known, ['mount', '--json', 'app:1']);
    const shown = JSON.parse(stdout);
    expect([code, shown]).toEqual([0, { image: 'app:1', directory: expect.any(String), kind: 'fuse' }]);
    expect(stderr).toMatch(/note: mounted by fuse-overlayfs; all files are shown as yours.*slipway unshare/);
    const seen = await script(
      known,
      `cd ${shown.directory} && find . -printf '%P %U %m\\n' | sort; cat etc/a shut/f; touch x; cd / && $S mount`,
    );
    const owner = String(known.uid);
    expect(seen.stdout.split('\n')).toEqual([
      expect.stringMatching(new RegExp(`^ ${owner} 755$`)),
      `etc ${owner} 755`,
      `etc/a ${owner} 640`,
      `shut ${owner} 500`,
      `shut/f ${owner} 4755`,
      `ASIMAGE   ${'DIRECTORY'.padEnd(shown.directory.length)}   KIND`,
      `app:1   ${shown.directory}   fuse`,
      '',
    ]);
    expect(seen.stderr).toContain('Read-only file system');
    expect((await as(known, ['rmi', 'app:1'])).stderr).toContain('app:1 is mounted');
    await ok(known, 'prune');
    expect((await script(known, `cat ${shown.directory}/etc/a`)).stdout).toBe('A');
    await ok(known, 'umount', 'app:1');
  });

  it('is not taken away while somebody uses it, and cleaned up when the program has died', async () => {
    const at = join(known.home, 'at');
    expect(await ok(known, 'mount', 'app:1', at)).toBe(at);
    const user = start('nsenter', [...words(known), 'sh', '-c', `cd ${at} && echo there $$ && exec sleep infinity`]);
    const [, pid] = await user.waitFor(/there (\d+)/);
    expect((await as(known, ['umount', at])).stderr).toMatch(
      new RegExp(`${at} is in use by sleep \\(${pid}\\)[\\s\\S]*umount --lazy`),
    );
    await user.stop();
    for (const daemon of processesWith(at)) process.kill(Number(daemon), 'SIGKILL');
    await expect
      .poll(async () => (await script(known, `ls ${at}`)).stderr, { timeout: 60_000 })
      .toContain('not connected');
    expect(await ok(known, 'mount', 'app:1', at)).toBe(at);
    expect(await script(known, `cat ${at}/etc/a`)).toMatchObject({ code: 0, stdout: 'A', stderr: '' });
  });
});

describe('as a copy', () => {
  it.skipIf(noFuse !== undefined)('where fuse-overlayfs is not possible, and says why', async () => {
    const closed = ['unshare', '--mount', 'sh', '-c', `mount --bind ${home}/closed /dev/fuse && exec "$@"`, 'sh'];
    for (const [user, before, why] of [
      [known, closed, '/dev/fuse cannot be used'],
      [unknown, [], 'could not determine username'],
    ] as const) {
      const { stdout, stderr } = await as(user, ['mount', 'app:1'], before);
      expect(stderr).toMatch(new RegExp(`note: mounted as a copy \\(.*${why}.*\\): changes do not`));
      const at = stdout.trim();
      expect([
        readdirSync(join(at, 'etc')),
        readFileSync(join(at, 'shut/f'), 'utf8'),
        existsSync(join(at, 'old')),
      ]).toEqual([['a'], 'S', false]);
      const { uid, mode } = statSync(join(at, 'etc/a'));
      expect([uid, mode & 0o7777]).toEqual([user.uid, 0o640]);
      await ok(user, 'umount', 'app:1');
      expect(existsSync(at)).toBe(false);
    }
  });

  it('is taken away although directories in it are closed, also where no namespace may be made', async () => {
    const barred = [
      ...['unshare', '--user', '--map-root-user', '--keep-caps', '--', 'sh', '-c'],
      'echo 0 >/proc/sys/user/max_user_namespaces && exec "$@"',
      'sh',
    ];
    for (const user of [known, unknown]) {
      for (const name of ['app:1', 'dark:1']) {
        const own = await ok(user, 'mount', '--as', 'copy', name);
        const at = await ok(user, 'mount', '--as', 'copy', name, join(user.home, 'at'));
        expect(readdirSync(at)).toEqual(name === 'app:1' ? ['etc', 'shut'] : ['dark', 'light']);
        await ok(user, 'umount', own);
        expect(existsSync(own)).toBe(false);
        await ok(user, 'umount', at);
        expect(readdirSync(at)).toEqual([]);
      }
    }
    // Nobody is root there: the user of the namespace stands for the ordinary one outside.
    const text = `set -e; at=$($S mount -q --as copy dark:1); $S umount -q --all; test ! -e $at`;
    const inside = await run('nsenter', [
      ...words(unknown),
      ...barred
        .map((word) => (word === '--map-root-user' ? '--map-current-user' : word))
        .map((word) => word.replace('exec "$@"', 'exec setpriv --ambient-caps=-all --inh-caps=-all "$@"')),
      'sh',
      '-c',
      text,
    ]);
    expect([inside.code, inside.stderr]).toEqual([0, '']);
  });
});

describe('in "slipway unshare"', () => {
  it('an image has its owners, as far as this user has others, and is gone in the end', async () => {
    for (const [user, owners] of [
      [known, '5:6'],
      [unknown, '0:0'],
    ] as const) {
      const text =
        'at=$($S mount app:1) && cd $at && stat -c %u:%g etc/a && cat shut/f && ls && $S mount --json && $S mount dark:1 >/dev/null';
      const { code, stdout, stderr } = await script(user, `$S unshare sh -c '${text}'`);
      expect([code, stderr.replace(/unpack.*\n/g, '')]).toEqual([0, '']);
      const [owner, rest] = [stdout.split('\n')[0], stdout.slice(stdout.indexOf('['))];
      expect([owner, stdout]).toEqual([owners, expect.stringContaining('\nSetc\nshut\n')]);
      expect(JSON.parse(rest)).toMatchObject([{ image: 'app:1', kind: 'overlay', visible: 'here' }]);
      expect(JSON.parse(await ok(user, 'mount', '--json'))).toEqual([]);
    }
  });

  it('a mount keeps its image outside too', async () => {
    const inside = spawn(
      'nsenter',
      [...words(known), 'sh', '-c', `$S unshare sh -c '$S mount app:1; read line; cat $($S mount app:1)/etc/a'`],
      {
        stdio: ['pipe', 'pipe', 'inherit'],
      },
    );
    let said = '';
    inside.stdout.setEncoding('utf8').on('data', (text: string) => {
      said += text;
    });
    const ended = new Promise((done) => inside.once('close', done));
    await expect.poll(() => said, { timeout: 60_000 }).toContain('data/mounts');
    try {
      expect(JSON.parse(await ok(known, 'mount', '--json'))).toMatchObject([
        { image: 'app:1', kind: 'overlay', visible: 'elsewhere' },
      ]);
      expect((await as(known, ['rmi', 'app:1'])).stderr).toContain('app:1 is mounted');
      await ok(known, 'prune', '--build-cache');
      // Another place, for those who are not in the namespace.
      const out = await ok(known, 'mount', '--as', 'copy', 'app:1');
      expect(out).not.toBe(said.trim());
      await ok(known, 'umount', out);
    } finally {
      inside.stdin.end('\n');
      await ended;
    }
    expect(said).toMatch(/\nA$/);
  });

  it('a mount is seen from outside, and goes with the namespace', async () => {
    for (const kind of ['overlay', ...(noFuse === undefined ? ['fuse'] : [])]) {
      const inside = start('nsenter', [
        ...words(known),
        'sh',
        '-c',
        `exec $S unshare sh -c '$S mount --as ${kind} app:1 && echo ready ${kind === 'fuse' ? '' : '&& exec sleep infinity'}'`,
      ]);
      await inside.waitFor(/ready/);
      expect(JSON.parse(await ok(known, 'mount', '--json'))).toMatchObject([{ kind, visible: 'elsewhere' }]);
      const { code, stderr } = await as(known, ['umount', 'app:1']);
      expect([code, stderr]).toEqual([1, expect.stringContaining('take it away there')]);
      await inside.stop();
      // The program that answers for a FUSE mount lives on, alone in the namespace.
      for (const { pid } of JSON.parse(await ok(known, 'mount', '--json'))) if (kind === 'fuse') process.kill(pid);
      await expect.poll(async () => JSON.parse(await ok(known, 'mount', '--json')), { timeout: 20_000 }).toEqual([]);
    }
  });

  it('commands have their exit codes and their own flags', async () => {
    expect((await script(known, `$S unshare sh -c 'exit 7'`)).code).toBe(7);
    expect((await script(known, `$S unshare sh -c 'kill -TERM $$'`)).code).toBe(143);
    expect((await script(known, '$S unshare no-such-program')).stderr).toContain('no-such-program');
    expect((await script(known, `SHELL=/bin/sh; export SHELL; echo 'id -u' | $S unshare`)).stdout).toBe('0\n');
    const { code, stderr } = await as(known, ['mount', '--as', 'overlay', 'app:1']);
    expect([code, stderr]).toEqual([1, expect.stringMatching(/only be mounted by root[\s\S]*hint: "slipway unshare"/)]);
  });
});

import { execFileSync, spawn } from 'node:child_process';
import { chmodSync, chownSync, cpSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ImageDescription } from '../../../src/store/describe.js';
import { type Ended, slipway } from '../../support/slipway.js';
import { tempDirectory } from '../../support/temp.js';
import { writeTree } from '../../support/write-tree.js';
import { must } from '../registry/support/programs.js';
import { processesWith } from './sandbox/fixture.js';

const home = tempDirectory();
const LAUNCHER = fileURLToPath(new URL('../../../bin/slipway', import.meta.url));
const NAME = `slip${process.pid}`;

/** An ordinary user: with subordinate ids (useradd gives them), and without. */
interface User {
  readonly uid: number;
  readonly home: string;
}
let many: User;
let single: User;
let count = 0;

beforeAll(() => {
  chmodSync(home, 0o755);
  // The project need not be readable for others where it is.
  for (const part of ['bin', 'dist', 'package.json', 'node_modules'])
    cpSync(join(LAUNCHER, '../..', part), join(home, 'slipway', part), { recursive: true, verbatimSymlinks: true });
  execFileSync('useradd', ['--no-create-home', NAME]);
  const uid = Number(execFileSync('id', ['-u', NAME]).toString());
  expect(readFileSync('/etc/subuid', 'utf8')).toContain(`${NAME}:`);
  many = newUser('many', uid);
  // In no file at all, as in many containers.
  single = newUser('single', 3_000_000 + process.pid);
});
afterAll(() => {
  execFileSync('userdel', [NAME]);
});

function newUser(name: string, uid: number): User {
  const dir = join(home, name);
  mkdirSync(dir);
  chownSync(dir, uid, uid);
  return { uid, home: dir };
}

const users = (): readonly (readonly [string, User])[] => [
  ['with subordinate ids', many],
  ['without', single],
];

/** @param before a program that starts it. */
function start(user: User, args: readonly string[], before: readonly string[] = []) {
  const become = ['setpriv', `--reuid=${user.uid}`, `--regid=${user.uid}`, '--clear-groups', '--'];
  const [program = '', ...rest] = [...become, ...before, process.execPath, join(home, 'slipway/bin/slipway'), ...args];
  const child = spawn(program, rest, {
    cwd: '/',
    env: { PATH: process.env.PATH, HOME: user.home, NO_COLOR: '1' },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const text = { stdout: '', stderr: '' };
  for (const stream of ['stdout', 'stderr'] as const)
    child[stream].setEncoding('utf8').on('data', (piece: string) => {
      text[stream] += piece;
    });
  const ended = new Promise<Ended>((resolve) =>
    child.on('close', (code, signal) => resolve({ code, signal, ...text })),
  );
  return { ended, output: () => text.stdout + text.stderr, kill: (signal: NodeJS.Signals) => child.kill(signal) };
}

function as(user: User, args: readonly string[], before: readonly string[] = []): Promise<Ended> {
  return start(user, args, before).ended;
}

function context(kubefile: string, files: Readonly<Record<string, string>> = {}): string {
  const dir = writeTree(join(home, 'contexts', String(count++)), { Kubefile: kubefile, ...files });
  writeFileSync(join(dir, 'busybox'), readFileSync('/bin/busybox'), { mode: 0o755 });
  return dir;
}

function storeOf(user: User): string {
  return join(user.home, '.local/share/slipway');
}

function layers({ stdout }: Ended): readonly string[] {
  return (JSON.parse(stdout) as ImageDescription).layers.map(({ diffID }) => diffID);
}

/** Nothing unfinished, and nothing mounted. */
function expectClean(user: User): void {
  expect(readdirSync(join(storeOf(user), 'tmp'))).toEqual([]);
  expect(readFileSync('/proc/self/mountinfo', 'utf8')).not.toContain(storeOf(user));
}

const SHELL = 'COPY busybox bin/sh\nCOPY busybox bin/busybox\n';

describe('an ordinary user', () => {
  it("builds the layers that root builds, with RUN in the rootfs and with the machine's tools", async () => {
    const dir = context(
      `FROM scratch
${SHELL}COPY --chown=5:6 --chmod=0751 tree tree
COPY --chown=5:6 other other
RUN echo 1 >>tree/sub/a; busybox mkdir -m 700 closed; echo 2 >closed/f; busybox chmod 000 closed/f; busybox ln -s /x l; busybox rm -r tree/gone; busybox mkfifo p; busybox touch other/f
RUN --isolation=host rm -r other; mkdir -p other/new; cat closed/f >copy; ln copy hard; install -m 500 -d d/e; chmod 500 d
RUN --mount=type=cache,target=/c --mount=type=tmpfs,target=/t --mount=target=/ctx,rw busybox cp /ctx/tree/sub/a d/e/a; echo 3 >/c/f; echo 4 >/ctx/x
`,
      { 'tree/sub/a': 'A', 'tree/gone/b': 'B', 'tree/c': 'C', 'other/f': 'F', 'other/g': 'G' },
    );
    const root = join(home, 'root-store');
    expect((await slipway(['build', '-t', 'it', dir], { root })).code).toBe(0);
    const expected = layers(await slipway(['inspect', 'it', '--json'], { root }));
    expect(expected).toHaveLength(7);
    for (const [what, user] of users()) {
      const built = await as(user, ['build', '-t', 'it', dir]);
      expect([what, built.code, built.stderr]).toEqual([what, 0, expect.not.stringContaining('unpacked anew')]);
      expect([what, layers(await as(user, ['inspect', 'it', '--json']))]).toEqual([what, expected]);
      expectClean(user);
      expect((await as(user, ['build', '-t', 'it', dir])).stderr.match(/cached/g)).toHaveLength(7);
    }
  });

  it('gives files to others only with subordinate ids, and is told why not', async () => {
    const dir = context(
      `FROM scratch\n${SHELL}RUN echo 1 >f; busybox chown 7:8 f || exit 9; busybox stat -c %u:%g f\n`,
    );
    const can = await as(many, ['build', dir]);
    expect(can.stderr).toContain('] 7:8');
    const cannot = await as(single, ['build', dir]);
    expect(cannot.stderr).toMatch(/exit code 9[\s\S]*hint: .*usermod --add-subuids/);
    expect(cannot.code).toBe(1);
  });

  it('runs as another user of the rootfs only with subordinate ids', async () => {
    const dir = context(`FROM scratch\n${SHELL}USER 1000:1001\nRUN busybox id\n`);
    expect((await as(many, ['build', dir])).stderr).toContain('] uid=1000 gid=1001');
    const cannot = await as(single, ['build', dir]);
    expect(cannot.stderr).toContain('cannot run as user 1000:1001 (1000:1001): this user has no such id to use');
    const mount = context('FROM scratch\nRUN --mount=type=cache,target=/tmp/c,uid=5 true\n');
    expect((await as(single, ['build', mount])).stderr).toContain('a mount cannot belong to 5:0');
  });

  it('has secrets, and a time limit', async () => {
    const file = join(home, 'token');
    writeFileSync(file, 'my-own-secret');
    const dir = context('FROM scratch\nRUN --mount=type=secret,id=t,env=T test "$T" = my-own-secret && sleep 600\n');
    for (const [, user] of users()) {
      const { code, stderr } = await as(user, ['build', '--secret', `id=t,src=${file}`, '--run-timeout', '2s', dir]);
      expect(stderr).toContain('the command took longer than 2.0s');
      expect(code).toBe(1);
      expectClean(user);
    }
  });

  it('stops with Ctrl-C, and all of it is gone with kill -9', async () => {
    for (const [, user] of users()) {
      const marker = `sleep ${user.uid}99`;
      const dir = context(`FROM scratch\n${SHELL}RUN echo up; busybox ${marker}\n`);
      const stopped = start(user, ['build', dir]);
      await expect.poll(stopped.output, { timeout: 60_000 }).toContain('] up');
      stopped.kill('SIGINT');
      expect(await stopped.ended).toMatchObject({ code: 130 });
      expectClean(user);
      const killed = start(user, ['build', dir]);
      await expect.poll(killed.output, { timeout: 60_000 }).toContain('] up');
      killed.kill('SIGKILL');
      await killed.ended;
      await expect.poll(() => processesWith(marker), { timeout: 60_000 }).toEqual([]);
      expect((await as(user, ['build', context(`FROM scratch\nRUN true\n`)])).code).toBe(0);
      expectClean(user);
    }
  });

  it('can remove all that a build has left', async () => {
    for (const [, user] of users()) {
      const dir = context(
        `FROM scratch\n${SHELL}COPY --chown=9:9 --chmod=0500 tree tree\nRUN busybox chmod 000 tree tree/sub; busybox mkdir -m 0 dark\nRUN --mount=type=cache,target=/c busybox mkdir -p -m 0 /c/dark\nRUN true\n`,
        { 'tree/sub/a': 'A' },
      );
      expect((await as(user, ['build', dir])).code).toBe(0);
      const { code, stderr } = await as(user, ['prune', '--build-cache']);
      expect([code, stderr]).toEqual([0, '']);
      expect(readdirSync(join(storeOf(user), 'cache/mounts'))).toEqual([]);
    }
  });

  it('needs no namespace without RUN, and is told what is missing with it', async () => {
    // A namespace in which no further one can be made, and the user is no root.
    const barred = [
      ...['unshare', '--user', '--map-current-user', '--keep-caps', '--', 'sh', '-c'],
      'echo 0 >/proc/sys/user/max_user_namespaces && exec setpriv --ambient-caps=-all --inh-caps=-all "$@"',
      'sh',
    ];
    const copy = await as(single, ['build', '-t', 'copied', context('FROM scratch\nCOPY a a\n', { a: '1' })], barred);
    expect([copy.code, copy.stderr]).toEqual([0, expect.stringContaining('COPY a a')]);
    const run = await as(single, ['build', context('FROM scratch\nRUN echo never\n')], barred);
    expect(run.stderr).toMatch(/Kubefile:2:1: RUN without root needs a user namespace: this user may not make/);
    expect(run.stderr).toContain('sysctl user.max_user_namespaces');
    expect(run.code).toBe(1);
  });

  it('builds where overlayfs cannot be mounted, and the layers are the same', async () => {
    const below = join(home, 'below');
    const place = join(home, 'place');
    for (const name of ['lower', 'upper', 'work']) mkdirSync(join(below, name), { recursive: true });
    mkdirSync(place);
    const options = `lowerdir=${below}/lower,upperdir=${below}/upper,workdir=${below}/work`;
    await must('mount', ['-t', 'overlay', '-o', options, 'overlay', place]);
    try {
      const dir = context(
        `FROM scratch
${SHELL}COPY --chown=5:6 tree tree
RUN echo 1 >>tree/sub/a; busybox rm -r tree/gone; echo D >tree/d; busybox rm tree/c; busybox mkdir -p n/e/w; busybox touch tree/t
RUN busybox rm -r n; echo file >n; busybox rm tree/d; busybox mkdir tree/d; echo 1 >tree/d/x; busybox chmod 700 tree; busybox ln tree/t hard
`,
        { 'tree/sub/a': 'A', 'tree/gone/b': 'B', 'tree/c': 'C', 'tree/t': 'T', 'tree/kept': 'K' },
      );
      const plain = join(home, 'plain-store');
      expect((await slipway(['build', '-t', 'it', dir], { root: plain })).code).toBe(0);
      const expected = layers(await slipway(['inspect', 'it', '--json'], { root: plain }));
      const root = join(place, 'root');
      const built = await slipway(['build', '-t', 'it', dir], { root });
      expect(built.stderr.match(/warning: the layers are unpacked anew for every RUN/g)).toHaveLength(1);
      expect(layers(await slipway(['inspect', 'it', '--json'], { root }))).toEqual(expected);
      for (const [what, user] of users()) {
        const store = join(place, String(user.uid));
        mkdirSync(store);
        chownSync(store, user.uid, user.uid);
        const { code, stderr } = await as(user, ['build', '--root', store, '-t', 'it', dir]);
        expect([what, code, stderr]).toEqual([what, 0, expect.stringContaining('unpacked anew for every RUN')]);
        expect([what, layers(await as(user, ['inspect', '--root', store, 'it', '--json']))]).toEqual([what, expected]);
        expect(readdirSync(join(store, 'tmp'))).toEqual([]);
      }
    } finally {
      await must('umount', [place]);
    }
  });
});

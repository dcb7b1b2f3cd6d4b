import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { slipway, startSlipway } from '../../support/slipway.js';
import { tempDirectory } from '../../support/temp.js';
import { writeTree } from '../../support/write-tree.js';
import { must } from '../registry/support/programs.js';
import { processesWith } from './sandbox/fixture.js';

const home = tempDirectory();
const root = join(home, 'store');
const busybox = readFileSync('/bin/busybox');
let count = 0;

type Mode = 'host' | 'container';
const MODES: readonly Mode[] = ['host', 'container'];

afterAll(() => slipway(['umount', '--all'], { root }));

/** A context whose rootfs has a shell in container mode. */
function context(mode: Mode, ...lines: readonly string[]): string {
  const tools = mode === 'container' ? 'COPY busybox bin/sh\nCOPY busybox bin/busybox\n' : '';
  const dir = writeTree(join(home, 'contexts', String(count++)), {
    Kubefile: `FROM scratch\n${tools}${lines.join('\n')}\n`,
  });
  writeFileSync(join(dir, 'busybox'), busybox, { mode: 0o755 });
  return dir;
}

/** Nothing unfinished in the store, nothing mounted. */
function expectClean(store = root): void {
  expect(readdirSync(join(store, 'tmp'))).toEqual([]);
  expect(readFileSync('/proc/self/mountinfo', 'utf8')).not.toContain(`${store}/tmp/`);
}

describe.each(MODES)('a RUN in %s isolation', (mode) => {
  const tool = mode === 'container' ? 'busybox ' : '';

  it('is shown line by line while it runs', async () => {
    const dir = context(mode, `RUN echo first; while :; do ${tool}sleep 1; done`);
    const running = startSlipway(['build', dir], { root });
    await expect.poll(() => running.output(), { timeout: 30_000 }).toMatch(/^\[\d\/\d\] first$/m);
    running.kill('SIGTERM');
    expect((await running.ended).code).toBe(130);
    expectClean();
  });

  it('that takes too long is ended with all it started, and its last output told', async () => {
    const marker = `sleep 98765${mode.length}`;
    const dir = context(mode, `RUN echo begun; ${tool}setsid ${tool}${marker} & ${tool}${marker}`);
    const { code, stderr } = await slipway(['build', '--run-timeout', '1.5s', dir], { root });
    expect(stderr).toMatch(/E_TIMEOUT|Kubefile:\d:1: the command took longer than 1\.5s and was ended/);
    expect(stderr).toContain('  | begun');
    expect(stderr).toContain('--run-timeout');
    expect(code).toBe(1);
    expect(processesWith(marker)).toEqual([]);
    expectClean();
  });

  it('that leaves a daemon running is over when its command is', async () => {
    const marker = `sleep 87654${mode.length}`;
    const dir = context(mode, `RUN ${tool}setsid ${tool}${marker} >/dev/null 2>&1 & echo done >made`);
    expect((await slipway(['build', dir], { root })).code).toBe(0);
    expect(processesWith(marker)).toEqual([]);
    expectClean();
  });

  it('that is killed is a failure with its signal', async () => {
    const { code, stderr } = await slipway(['build', context(mode, 'RUN echo last; sh -c "kill -9 \\$\\$"; exit $?')], {
      root,
    });
    expect(stderr).toMatch(/Kubefile:\d:1: the command ended with exit code 137; its last lines:[\s\S]*\n {2}\| last/);
    expect(code).toBe(1);
    expectClean();
  });

  it('leaves no process and nothing in the store when slipway is killed', async () => {
    const marker = `sleep 76543${mode.length}`;
    const running = startSlipway(['build', context(mode, `RUN echo up; ${tool}${marker}`)], { root });
    await expect.poll(() => running.output(), { timeout: 30_000 }).toContain('] up');
    running.kill('SIGKILL');
    await running.ended;
    await expect.poll(() => processesWith(marker), { timeout: 30_000 }).toEqual([]);
    expect((await slipway(['build', context(mode, 'RUN true')], { root })).code).toBe(0);
    expectClean();
  });

  it('may print 100 MB without a line end', async () => {
    const dir = context(mode, `RUN ${tool}head -c 100000000 /dev/zero | ${tool}tr '\\0' x; exit 4`);
    const { code, stderr } = await slipway(['build', '-q', dir], { root });
    expect(stderr).toContain('exit code 4');
    expect(stderr.length).toBeLessThan(100_000);
    expect(code).toBe(1);
  });

  it('finds nothing of this process: no variables, no terminal', async () => {
    const dir = context(mode, `RUN ${tool}env | ${tool}sort; ${tool}tty; exit 1`);
    const { stderr } = await slipway(['build', dir], {
      root,
      env: { CANARY: 'tweet', http_proxy: 'http://proxy.invalid:1', SLIPWAY_SECRET: 'x' },
    });
    expect(stderr).toContain('http_proxy=http://proxy.invalid:1');
    expect(stderr).not.toMatch(/CANARY|SLIPWAY_/);
    expect(stderr).toContain('not a tty');
  });

  it('puts nothing of the sandbox into a layer, an image or a key', async () => {
    const dir = context(mode, `RUN echo x >made${mode === 'host' ? '; echo y >/run/y; echo z >/tmp/z' : ''}`);
    const build = async (...args: readonly string[]): Promise<string> => {
      const { code, stderr } = await slipway(['build', '-t', mode, ...args, dir], {
        root,
        env: { HTTPS_PROXY: `http://user:pass@proxy.invalid:${++count}` },
      });
      expect(code).toBe(0);
      return stderr;
    };
    await build();
    expect((await build('--build-arg', 'HTTP_PROXY=http://other.invalid')).match(/cached/g)?.length).toBe(
      mode === 'container' ? 3 : 1,
    );
    const { stdout } = await slipway(['mount', mode], { root });
    expect(readdirSync(stdout.trim()).sort()).toEqual(mode === 'container' ? ['bin', 'made'] : ['made']);
    expect((await slipway(['inspect', mode, '--json'], { root })).stdout).not.toMatch(/invalid/);
  });

  it('that fills the disk is told so, and leaves the store as it was', async () => {
    const small = join(home, `small-${mode}`);
    mkdirSync(small);
    await must('mount', ['-t', 'tmpfs', '-o', 'size=12m', 'tmpfs', small]);
    try {
      const dir = context(mode, `RUN ${tool}head -c 30000000 /dev/urandom >large`);
      const { code, stderr } = await slipway(['build', '-t', 'large', dir], { root: small });
      expect(stderr).toMatch(/Kubefile:\d:1: the disk is full, and the command ended with exit code 1/);
      expect(code).toBe(1);
      expect(readdirSync(join(small, 'tmp'))).toEqual([]);
      const packed = context(mode, `RUN ${tool}head -c 7000000 /dev/urandom >half`);
      const packing = await slipway(['build', '-t', 'half', packed], { root: small });
      expect(packing.stderr).toMatch(/no space left on the disk while|the disk is full/);
      expect(packing.code).toBe(1);
      expect(readdirSync(join(small, 'tmp'))).toEqual([]);
      expect((await slipway(['build', '-t', 'small', context(mode, 'RUN echo 1 >f')], { root: small })).code).toBe(0);
    } finally {
      await must('umount', [small]);
    }
  });
});

describe('a RUN', () => {
  it('in host isolation cannot write to the machine', async () => {
    const { code, stderr } = await slipway(
      ['build', context('host', 'RUN touch /usr/slipway-was-here /slipway-was-here; echo $?; exit 5')],
      { root },
    );
    expect(stderr).toMatch(/Read-only file system[\s\S]*Read-only file system/);
    expect(stderr).toContain('exit code 5');
    expect(code).toBe(1);
  });

  it('with --security=insecure is refused before anything is built', async () => {
    const dir = context('host', 'RUN echo one', 'RUN --security=insecure mount', 'RUN --security=insecure reboot');
    const { code, stderr } = await slipway(['build', dir], { root });
    expect(stderr).toMatch(/Kubefile:3:1: RUN --security=insecure is not supported[\s\S]*Kubefile:4:1: /);
    expect(stderr).not.toContain('[1/');
    expect(code).toBe(1);
  });

  it('with --network=none has no network', async () => {
    const { stderr } = await slipway(
      ['build', context('host', 'RUN --network=none cat /proc/net/dev | tail -n +3 | cut -d: -f1; exit 1')],
      { root },
    );
    expect(stderr).toMatch(/\] +lo\n/);
    expect(stderr).not.toMatch(/\] +(eth|en)/);
  });

  it('gets the proxies of the build arguments, which beat those of the machine', async () => {
    const dir = context('host', 'RUN echo "<$HTTP_PROXY>"; exit 1');
    const { stderr } = await slipway(['build', '--build-arg', 'HTTP_PROXY=http://given.invalid', dir], {
      root,
      env: { HTTP_PROXY: 'http://machine.invalid' },
    });
    expect(stderr).toContain('<http://given.invalid>');
  });

  it('for another processor says before it runs what is missing; with the tools of the machine it works', async () => {
    const foreign = process.arch === 'arm64' ? 's390x' : 'ppc64le';
    const dir = context('container', 'RUN echo no');
    const { code, stderr } = await slipway(['build', '--platform', `linux/${foreign}`, dir], { root });
    expect(stderr).toMatch(/Kubefile:4:1: cannot run programs for linux\/\w+ on this machine.*binfmt_misc/);
    expect(stderr).toContain('qemu-user-static');
    expect(stderr).not.toContain('] no\n');
    expect(code).toBe(1);
    const host = await slipway(['build', '--platform', `linux/${foreign}`, '--isolation=host', dir], { root });
    expect(host.stderr).toContain('] no\n');
    expect(host.code).toBe(0);
  });

  it.each(['0s', '10', 'x', '-1s', '1s2', '600h', ''])('takes no %j for a time limit', async (text) => {
    const { code, stderr } = await slipway(['build', '--run-timeout', text, context('host', 'RUN true')], { root });
    expect(stderr).toContain('--run-timeout');
    expect(code).toBe(2);
  });
});

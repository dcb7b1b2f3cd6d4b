import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { compileSandbox, createFixture, type Fixture, processesWith, until } from './fixture.js';

describe.each(['host', 'container'] as const)('processes of a %s mode command', (isolation) => {
  let fixture: Fixture;
  let marker = '';
  let forever = '';
  beforeEach(() => {
    fixture = createFixture(isolation);
    if (isolation === 'container') fixture.addBusybox();
    marker = `slipway-${randomUUID()}`;
    // A process that is found by its command line, that no signal but KILL ends, and that writes to the rootfs all the time.
    forever = `sh -c 'trap "" TERM INT HUP; while :; do echo x >>${isolation === 'host' ? '/rootfs' : ''}/alive; sleep 0.01; done' ${marker}`;
  });
  afterEach(() => fixture.remove());

  const alive = (): string => join(fixture.rootfs, 'alive');

  it('have ended when the command has, daemons too', async () => {
    const daemon = `setsid ${forever} </dev/null >/dev/null 2>&1 & (setsid ${forever} &) ; while [ ! -s alive ]; do sleep 0.01; done; echo started`;
    const { code, stdout } = await fixture.run(daemon);
    expect({ code, stdout }).toEqual({ code: 0, stdout: 'started\n' });
    expect(processesWith(marker)).toEqual([]);
    const written = readFileSync(alive()).length;
    await new Promise((resolve) => setImmediate(resolve));
    expect(readFileSync(alive()).length).toBe(written);
  });

  it('are killed when the time is over', async () => {
    const running = fixture.run(`${forever} & ${forever}`, { timeoutMs: 1500 });
    await expect(running).rejects.toMatchObject({ code: 'E_TIMEOUT', message: expect.stringContaining('1500 ms') });
    expect(processesWith(marker)).toEqual([]);
    expect(readdirSync(fixture.scratch)).toEqual([]);
  });

  it('are killed on abort', async () => {
    const abort = new AbortController();
    const running = fixture.run(`setsid ${forever} & ${forever}`, { signal: abort.signal });
    const ended = expect(running).rejects.toMatchObject({ code: 'E_INTERRUPTED' });
    await until(() => existsSync(alive()), 'the command runs');
    abort.abort();
    await ended;
    expect(processesWith(marker)).toEqual([]);
    expect(readdirSync(fixture.scratch)).toEqual([]);
  });

  it('are a signal, not a success, when something else kills them', async () => {
    const running = fixture.run(forever);
    await until(() => existsSync(alive()), 'the command runs');
    const [run = ''] = readdirSync(fixture.scratch);
    process.kill(Number(readFileSync(join(fixture.scratch, run, 'pid'), 'utf8')), 'SIGKILL');
    expect(await running).toMatchObject({ code: 137, signal: 'SIGKILL' });
    expect(processesWith(marker)).toEqual([]);
  });

  it('are not started after an abort, and an early one ends the start', async () => {
    const aborted = fixture.run(forever, { signal: AbortSignal.abort() });
    await expect(aborted).rejects.toMatchObject({ code: 'E_INTERRUPTED' });
    for (const delay of [0, 5, 10, 20]) {
      const running = fixture.run(forever, { timeoutMs: delay });
      await expect(running).rejects.toMatchObject({ code: 'E_TIMEOUT' });
    }
    expect(processesWith(marker)).toEqual([]);
    expect(readdirSync(fixture.scratch)).toEqual([]);
  });

  it('are killed when taking the output fails', async () => {
    const running = fixture.run(`echo line; ${forever}`, {
      onOutput: () => {
        throw new Error('the reader broke');
      },
    });
    await expect(running).rejects.toThrow('the reader broke');
    expect(processesWith(marker)).toEqual([]);
  });

  it('end with slipway, even if that is killed with SIGKILL', async () => {
    const sandbox = compileSandbox(join(fixture.home, 'compiled'));
    const program = join(fixture.home, 'parent.mjs');
    const request = {
      rootfs: fixture.rootfs,
      scratch: fixture.scratch,
      isolation,
      argv: ['/bin/sh', '-c', `setsid ${forever} & ${forever}`],
      env: {},
      cwd: '/',
      network: 'none',
      mounts: [],
    };
    writeFileSync(
      program,
      `import { runSandboxed } from ${JSON.stringify(sandbox)};
       await runSandboxed({ ...${JSON.stringify(request)}, onOutput() {} });`,
    );
    const parent = spawn(process.execPath, [program], { stdio: ['ignore', 'inherit', 'inherit'] });
    const exited = new Promise<void>((resolve) => parent.once('exit', () => resolve()));
    await until(() => existsSync(alive()), 'the command runs');
    expect(processesWith(marker).length).toBeGreaterThan(0);
    parent.kill('SIGKILL');
    await exited;
    await until(() => processesWith(marker).length === 0, 'the sandbox has ended');
    await until(() => processesWith(fixture.home).length === 0, 'its helpers have ended');
    // What it left on the disk does not keep the next run from working.
    expect((await fixture.run('echo again')).stdout).toBe('again\n');
  });
});

it('runs side by side, in one scratch directory', async () => {
  const fixture = createFixture('host');
  try {
    const commands = [1, 2, 3, 4].map((index) =>
      fixture.run(`cat >${index}; echo ${index}`, { stdin: Buffer.from(`in ${index}`) }),
    );
    const results = await Promise.all(commands);
    expect(results.map(({ stdout }) => stdout)).toEqual(['1\n', '2\n', '3\n', '4\n']);
    expect(readFileSync(join(fixture.rootfs, '3'), 'utf8')).toBe('in 3');
  } finally {
    fixture.remove();
  }
});

it('passes a lot of output on, in order and whole', async () => {
  const fixture = createFixture('host');
  try {
    let bytes = 0;
    await fixture.run('head -c 50000000 /dev/zero; printf end >&2', {
      onOutput: (chunk, stream) => {
        if (stream === 'stdout') bytes += chunk.length;
      },
    });
    expect(bytes).toBe(50_000_000);
  } finally {
    fixture.remove();
  }
});

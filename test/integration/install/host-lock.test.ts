import { execFileSync, spawn } from 'node:child_process';
import { existsSync, readFileSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { isSlipwayError } from '../../../src/base/errors.js';
import { connectHost } from '../../../src/hosts/connect.js';
import { type HostLock, lockHost } from '../../../src/install/cluster-hosts/host-lock.js';
import { tempDirectory } from '../../support/temp.js';

const dir = tempDirectory('slipway-lock-');
const host = connectHost('127.0.0.1');
afterAll(() => host.close());

let file: string;
let count = 0;
beforeEach(() => {
  file = join(dir, `lock-${count++}`);
});

const take = (purpose: string, onLost: (error: Error) => void = () => {}, heartbeatMs?: number): Promise<HostLock> =>
  lockHost(host, { purpose, onLost, file, ...(heartbeatMs === undefined ? {} : { heartbeatMs }) });

async function refused(purpose: string): Promise<string> {
  try {
    await (await take(purpose)).release();
  } catch (error) {
    if (isSlipwayError(error, 'E_LOCKED')) return error.message;
    throw error;
  }
  return 'it was given';
}

/** A process that has ended, and whose id is not in use. */
async function endedProcess(): Promise<{ pid: number; start: string }> {
  const child = spawn('sleep', ['100']);
  const stat = readFileSync(`/proc/${child.pid}/stat`, 'utf8');
  const ended = new Promise((resolve) => child.once('close', resolve));
  child.kill('SIGKILL');
  await ended;
  return { pid: child.pid ?? 0, start: stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? '' };
}

describe('the lock of a host', () => {
  it('is held by one at a time, and says by whom and for what', async () => {
    const first = await take('run prod');
    expect(await refused('reset prod')).toMatch(/^host 127\.0\.0\.1 is in use: \w+@\S+ \(run prod\)$/);
    await first.release();
    expect(existsSync(file)).toBe(false);
    expect(await refused('reset prod')).toBe('it was given');
  });

  it('is given to one of many who ask at once', async () => {
    const answers = await Promise.allSettled(Array.from({ length: 6 }, (_, index) => take(`run ${index}`)));
    const held = answers.filter((answer) => answer.status === 'fulfilled');
    expect(held).toHaveLength(1);
    await held[0]?.value.release();
  });

  it('is taken over when its owner was silent for a minute, by one of many', async () => {
    writeFileSync(file, 'token elsewhere:1:1 somebody@else run prod\n');
    expect(await refused('run x')).toContain('somebody@else (run prod)');
    const old = Date.now() / 1000 - 61;
    utimesSync(file, old, old);
    const answers = await Promise.allSettled(Array.from({ length: 6 }, (_, index) => take(`run ${index}`)));
    const held = answers.filter((answer) => answer.status === 'fulfilled');
    expect(held).toHaveLength(1);
    await held[0]?.value.release();
  });

  it('is taken over at once when its owner was a process of this machine that has ended', async () => {
    const alive = await take('run a');
    const [, identity = ''] = readFileSync(file, 'utf8').split(' ');
    await alive.release();
    const [place] = identity.split(':');
    const { pid, start } = await endedProcess();
    writeFileSync(file, `token ${place}:${pid}:${start} root@here run a\n`);
    expect(await refused('run b')).toBe('it was given');
    // the same number, but of a process that lives
    writeFileSync(file, `token ${identity} root@here run a\n`);
    expect(await refused('run b')).toContain('root@here (run a)');
    // the same process, but of another machine
    writeFileSync(file, `token elsewhere:${pid}:${start} root@there run a\n`);
    expect(await refused('run b')).toContain('root@there (run a)');
  });

  it('is renewed while it is held', async () => {
    const lock = await take('run a', () => {}, 20);
    const old = Date.now() / 1000 - 1000;
    utimesSync(file, old, old);
    const age = (): number => Number(execFileSync('stat', ['-c', '%Y', file]).toString());
    while (age() < old + 500) await new Promise((resolve) => setTimeout(resolve, 20));
    expect(await refused('run b')).toContain('(run a)');
    await lock.release();
  });

  it('that somebody else has taken is told, and left to them', async () => {
    let lost: (error: Error) => void = () => {};
    const told = new Promise<Error>((resolve) => {
      lost = resolve;
    });
    const lock = await take('run a', lost, 20);
    writeFileSync(file, 'token elsewhere:1:1 somebody@else run prod\n');
    expect((await told).message).toContain('somebody else has taken the lock');
    await lock.release();
    expect(readFileSync(file, 'utf8')).toContain('somebody@else');
  });
});

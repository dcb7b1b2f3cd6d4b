import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { beforeEach, expect, it, onTestFinished } from 'vitest';
import { tryLock } from '../../../src/store/locks.js';
import { LAUNCHER, mustSlipway } from '../../support/slipway.js';
import { tempDirectory } from '../../support/temp.js';
import { writeTree } from '../../support/write-tree.js';
import { send } from '../registry/support/raw.js';
import { serve } from '../registry/support/serve.js';

const home = tempDirectory();
let root = '';
let count = 0;

beforeEach(async () => {
  root = join(home, String(count++));
  await mustSlipway(['images'], { root });
});

/** An archive of one image. */
async function archive(name: string): Promise<string> {
  const store = `${name}-store`;
  const dir = writeTree(`${name}-context`, { Kubefile: 'FROM scratch\nCOPY a a\n', a: 'a' });
  await mustSlipway(['build', '-q', '-t', 'a:1', dir], { root: store });
  await mustSlipway(['save', '-o', `${name}.tar`, 'a:1'], { root: store });
  return `${name}.tar`;
}

/** Another program that holds a lock of the store until the test ends. */
async function hold(name: string): Promise<ChildProcess> {
  const child = spawn('flock', ['-x', join(root, name), 'sh', '-c', 'echo held; exec sleep 1000'], {
    stdio: ['ignore', 'pipe', 'inherit'],
    detached: true,
  });
  onTestFinished(() => {
    process.kill(-(child.pid ?? 0), 'SIGKILL');
  });
  await once(child.stdout as NodeJS.ReadableStream, 'data');
  return child;
}

/** A command of a terminal: Ctrl-C reaches it and all that it has started. */
function inTerminal(...args: string[]) {
  const child = spawn(process.execPath, [LAUNCHER, ...args], {
    env: { ...process.env, SLIPWAY_ROOT: root, NO_COLOR: '1' },
    stdio: ['ignore', 'ignore', 'pipe'],
    detached: true,
  });
  let said = '';
  child.stderr.on('data', (text) => (said += text));
  return { child, said: () => said, ended: once(child, 'close') };
}

it('who waits for the store is told once for what and for whom, and Ctrl-C ends it', async () => {
  await hold('users.lock');
  const { child, said, ended } = inTerminal('du');
  await expect.poll(said, { timeout: 30_000 }).toMatch(/^waiting for the store, in use by sleep \(process \d+ of /m);
  process.kill(-(child.pid ?? 0), 'SIGINT');
  expect((await ended)[0]).toBe(130);
  expect(said().match(/waiting for/g)).toHaveLength(1);
  expect(said()).toContain('error: interrupted');
  expect(said()).not.toContain('flock');
});

it('a signal for slipway alone ends the waiting too', async () => {
  await hold('index.lock');
  const { child, said, ended } = inTerminal('load', await archive(join(home, `a-${count}`)));
  await expect.poll(said, { timeout: 30_000 }).toContain('waiting for the index of the store, in use by sleep');
  child.kill('SIGTERM');
  expect((await ended)[0]).toBe(130);
});

it('says which command of slipway is in the way', async () => {
  const server = await serve([], root);
  const { location } = (await send(server.address, 'POST', '/v2/a/blobs/uploads/')).headers;
  const digest = `sha256:${'2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881'}`; // of "x"
  expect(await send(server.address, 'PUT', `${location}?digest=${digest}`, {}, 'x')).toMatchObject({ status: 201 });
  const { child, said, ended } = inTerminal('prune');
  await expect.poll(said, { timeout: 30_000 }).toContain(`in use by slipway registry (process ${server.pid} of `);
  child.kill('SIGTERM');
  expect((await ended)[0]).toBe(130);
});

it('a lock that is free is taken though the work was interrupted: what tidies up needs it', async () => {
  const lock = await tryLock(join(root, 'users.lock'), 'shared', { signal: AbortSignal.abort() });
  expect(lock).toBeDefined();
  await lock?.release();
});

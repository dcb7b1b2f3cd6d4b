import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { putClusterState } from '../../support/cluster-state.js';
import { LAUNCHER, mustSlipway } from '../../support/slipway.js';
import { tempDirectory } from '../../support/temp.js';
import { writeTree } from '../../support/write-tree.js';
import { type Sshd, startSshd } from '../hosts/sshd.js';

const COUNT = 100;
const home = tempDirectory('slipway-hundred-');
const root = join(home, 'store');
const addresses = Array.from({ length: COUNT }, (_, index) => `10.98.7.${index + 1}`);
/** A network of its own, in which a hundred addresses are one machine with one sshd. */
const NETWORK = `slipway-hundred-${process.pid}`;
const inside = (...command: string[]): string[] => ['netns', 'exec', NETWORK, ...command];
let keys: Sshd;
let sshd: ChildProcess;

beforeAll(async () => {
  execFileSync('ip', ['netns', 'add', NETWORK]);
  execFileSync('ip', ['-n', NETWORK, 'link', 'set', 'lo', 'up']);
  execFileSync('ip', ['-n', NETWORK, 'route', 'add', 'local', '10.98.7.0/24', 'dev', 'lo']);
  keys = await startSshd();
  const config = join(keys.directory, 'hundred');
  const lines = readFileSync(join(keys.directory, 'config'), 'utf8').replace(
    'ListenAddress 127.0.0.1',
    'ListenAddress 0.0.0.0',
  );
  writeFileSync(config, lines);
  sshd = spawn('ip', inside('/usr/sbin/sshd', '-D', '-e', '-f', config), { stdio: ['ignore', 'ignore', 'pipe'] });
  await new Promise<void>((resolve, reject) => {
    sshd.once('exit', () => reject(new Error('sshd does not start')));
    sshd.stderr?.on('data', (data) => String(data).includes('Server listening') && resolve());
  });
  const files = Object.fromEntries(
    Array.from({ length: 5000 }, (_, index) => [`statics/${index % 50}/${index}`, `${index}`]),
  );
  const context = writeTree(join(home, 'context'), {
    ...files,
    Kubefile: 'FROM scratch\nCOPY . .\n',
    Metadata: '{"version":"v1.20.2","arch":"amd64","ClusterRuntime":"k8s"}',
    'etc/host.conf.tmpl': 'host={{ .HostIP }}\n',
  });
  await mustSlipway(['build', '-t', 'fleet:v1', context], { root });
});

afterAll(async () => {
  const ended = new Promise((resolve) => sshd.once('exit', resolve));
  sshd.kill();
  await ended;
  await keys.stop();
  execFileSync('ip', ['netns', 'del', NETWORK]);
});

/** Runs the program in that network, and watches how much memory it takes, in MB. */
async function measured(
  command: string,
  ...more: readonly string[]
): Promise<{ code: number | null; output: string; peak: number }> {
  const reach = ['-i', keys.keyFile, '--port', String(keys.port), '--host-key-check=off'];
  // `ip netns exec` becomes the program that it is given
  const child = spawn('ip', inside(process.execPath, LAUNCHER, command, ...reach, ...more), {
    env: { ...process.env, SLIPWAY_ROOT: root, NO_COLOR: '1' },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let peak = 0;
  const watch = setInterval(() => {
    try {
      const kB = /^VmHWM:\s+(\d+) kB/m.exec(readFileSync(`/proc/${child.pid}/status`, 'utf8'))?.[1];
      peak = Math.max(peak, Number(kB ?? 0) / 1024);
    } catch {
      // it has ended
    }
  }, 20);
  const ended = new Promise<number | null>((resolve) => child.once('exit', resolve));
  const output = (await Promise.all([text(child.stdout), text(child.stderr)])).join('');
  clearInterval(watch);
  return { code: await ended, output, peak };
}

it('a hundred hosts are looked at and planned for, and that takes little memory', async () => {
  const { code, output, peak } = await measured(
    'plan',
    ...['fleet:v1', '--cluster', 'fleet', '--masters', '10.98.7.1', '--nodes', '10.98.7.2-10.98.7.100'],
  );
  expect(code, output.slice(0, 2000)).toBe(1); // they are one machine
  expect(output).toContain('have the same machine-id');
  for (const address of addresses) expect(output).toContain(`${address}`);
  expect(output.match(/505\d entries to send/g)).toHaveLength(COUNT);
  console.log(`plan of ${COUNT} hosts and 5000 files: ${peak.toFixed(0)} MB`);
  expect(peak).toBeLessThan(400);
}, 400_000);

it('a command runs on a hundred hosts', async () => {
  await putClusterState(
    root,
    'crowd',
    Object.fromEntries(addresses.map((address, index) => [address, index < 3 ? 'master' : 'node'])),
  );
  const { code, output, peak } = await measured('exec', '--cluster', 'crowd', '--', 'seq 1000 | tail -n 1');
  expect(code, output).toBe(0);
  expect(output.match(/10\.98\.7\.\d+ \| 1000/g)).toHaveLength(COUNT);
  console.log(`a command on ${COUNT} hosts: ${peak.toFixed(0)} MB`);
  expect(peak).toBeLessThan(300);
}, 400_000);

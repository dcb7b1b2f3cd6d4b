import { execFile, execFileSync } from 'node:child_process';
import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type FileLock, lockFile } from './file-lock.js';

const LAB_SH = fileURLToPath(new URL('lab.sh', import.meta.url));
/** Where hosts, and all that is made for them once, are kept. */
export const LAB = process.env.SLIPWAY_LAB ?? '/var/tmp/slipway-lab';
/** In the directory of a host that a test started. */
const MARK = 'of-a-test';

/** A real host: systemd, sshd (root, password `secret`), own network, hostname and machine-id. */
export interface LabHost {
  readonly name: string;
  readonly ip: string;
  /** Private key that lets root in. */
  readonly keyFile: string;
  /** The host's root file system, seen from outside. */
  readonly root: string;
  /** Runs a shell command inside, without the network, and gives its stdout. Rejects when it fails. */
  run(command: string): Promise<string>;
  /** Pulls the network cable, or plugs it in. */
  cable(state: 'up' | 'down'): Promise<void>;
  /** Pulls the power plug; the disk stays. */
  kill(): Promise<void>;
  /** Boots it again. */
  boot(): Promise<void>;
  /** Takes host and disk away. */
  stop(): Promise<void>;
}

/** Whether hosts can be started here, and if not, why. */
export function labAvailable(): { readonly ok: true } | { readonly ok: false; readonly why: string } {
  if (process.platform !== 'linux' || process.getuid?.() !== 0)
    return { ok: false, why: 'the lab needs root on Linux' };
  for (const program of ['systemd-nspawn', 'debootstrap', 'ssh', 'ip', 'nsenter', 'flock']) {
    try {
      execFileSync('sh', ['-c', 'command -v "$0"', program], { stdio: 'ignore' });
    } catch {
      return { ok: false, why: `${program} is not installed (test/lab/packages.sh installs it)` };
    }
  }
  return { ok: true };
}

const started = new Map<string, LabHost>();
/** By group: what holds the lock of this group of hosts. */
const locks = new Map<string, Promise<FileLock>>();

// whatever ends this process in an orderly way: nothing of ours stays behind
process.once('exit', () => {
  for (const { name } of started.values()) spawnSyncQuietly(['down', name]);
});

/**
 * Starts a fresh host; one of this name that is left over is taken away first. What is before the first `-` of its name is its group: one
 * process at a time has hosts of a group, another one waits for as long as it takes, and clears up what a killed one left. Groups use
 * addresses of their own, and run beside each other.
 * @param ip in the lab's network, 10.99.0.0/24 unless configured otherwise
 */
export async function startLabHost(name: string, ip: string): Promise<LabHost> {
  const group = groupOf(name);
  const lock = locks.get(group) ?? takeGroup(group);
  locks.set(group, lock);
  await lock;
  await lab('down', name);
  const host: LabHost = {
    name,
    ip,
    keyFile: join(LAB, 'key'),
    root: join(LAB, name, 'root'),
    run: (command) => lab('exec', name, 'sh', '-c', command),
    cable: async (state) => {
      await lab('cable', name, state);
    },
    kill: async () => {
      await lab('kill', name);
    },
    boot: async () => {
      await lab('up', name, ip);
    },
    stop: async () => {
      await lab('down', name);
      started.delete(name);
      if (![...started.keys()].some((other) => groupOf(other) === group)) await giveBack(group);
    },
  };
  started.set(name, host);
  await lab('up', name, ip);
  writeFileSync(join(LAB, name, MARK), `${process.pid}\n`);
  return host;
}

/** Takes every host of this process away; for the end of a test file. */
export async function stopLabHosts(): Promise<void> {
  for (const host of [...started.values()]) await host.stop();
}

function groupOf(name: string): string {
  return name.split('-')[0] ?? name;
}

async function takeGroup(group: string): Promise<FileLock> {
  const lock = await lockFile(join(LAB, `.tests-${group}.lock`));
  await lab('setup');
  for (const name of readdirSync(LAB)) {
    if (groupOf(name) === group && existsSync(join(LAB, name, MARK))) await lab('down', name);
  }
  return lock;
}

async function giveBack(group: string): Promise<void> {
  const lock = await locks.get(group);
  locks.delete(group);
  await lock?.release();
}

async function lab(...args: string[]): Promise<string> {
  return await new Promise((resolve, reject) => {
    execFile(LAB_SH, args, { maxBuffer: 64 * 1024 * 1024 }, (error, stdout, stderr) => {
      if (error === null) resolve(stdout);
      else reject(new Error(`lab.sh ${args.join(' ')} failed with ${error.code}: ${stdout}${stderr}`));
    });
  });
}

function spawnSyncQuietly(args: string[]): void {
  try {
    execFileSync(LAB_SH, args, { stdio: 'ignore' });
  } catch {
    // the next run clears up
  }
}

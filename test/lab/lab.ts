import { type ChildProcess, execFile, execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const LAB_SH = fileURLToPath(new URL('lab.sh', import.meta.url));
const LAB = process.env.SLIPWAY_LAB ?? '/var/tmp/slipway-lab';
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
let lock: Promise<ChildProcess> | undefined;

// whatever ends this process in an orderly way: nothing of ours stays behind
process.once('exit', () => {
  for (const { name } of started.values()) spawnSyncQuietly(['down', name]);
});

/**
 * Starts a fresh host; one of this name that is left over is taken away first. The first host of a process waits until no
 * other process has hosts from tests, for as long as it takes, and clears up what a killed one left.
 * @param ip in the lab's network, 10.99.0.0/24 unless configured otherwise
 */
export async function startLabHost(name: string, ip: string): Promise<LabHost> {
  lock ??= takeLab();
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
      if (started.size === 0) await giveLabBack();
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

/** The lock is held by a child that ends with our end of its standard input: a killed test run holds nothing. */
async function takeLab(): Promise<ChildProcess> {
  mkdirSync(LAB, { recursive: true });
  const holder = spawn('flock', [join(LAB, '.tests.lock'), 'sh', '-c', 'echo locked; exec cat'], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  await new Promise<void>((resolve, reject) => {
    holder.once('error', reject);
    holder.once('exit', (code) => reject(new Error(`the lab cannot be locked (flock ended with ${code})`)));
    holder.stdout?.once('data', () => resolve());
  });
  holder.unref();
  await lab('setup');
  for (const name of readdirSync(LAB)) if (existsSync(join(LAB, name, MARK))) await lab('down', name);
  return holder;
}

async function giveLabBack(): Promise<void> {
  const holder = await lock;
  lock = undefined;
  if (holder === undefined) return;
  const exit = new Promise((resolve) => holder.once('exit', resolve));
  holder.stdin?.end();
  await exit;
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

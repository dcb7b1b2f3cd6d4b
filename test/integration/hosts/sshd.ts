import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A real sshd of our own on a free loopback port, with its own host keys, which lets root in with a key. */
export interface Sshd {
  readonly port: number;
  readonly directory: string;
  /** The private key that may log in. */
  readonly keyFile: string;
  /** Public key file of a host key. */
  hostKey(type: 'ed25519' | 'ecdsa' | 'rsa'): string;
  stop(): Promise<void>;
}

export interface SshdOptions {
  readonly hostKeys?: readonly ('ed25519' | 'ecdsa' | 'rsa')[];
  /** More lines of sshd_config. */
  readonly config?: readonly string[];
  /** `NAME=value`, for every command. */
  readonly env?: readonly string[];
  readonly port?: number;
}

/** Makes a key pair without a passphrase unless one is given. */
export function makeKey(path: string, type = 'ed25519', passphrase = ''): string {
  execFileSync('ssh-keygen', ['-q', '-t', type, '-N', passphrase, '-f', path]);
  return path;
}

export async function startSshd({
  hostKeys = ['ed25519'],
  config = [],
  env = [],
  port,
}: SshdOptions = {}): Promise<Sshd> {
  const directory = mkdtempSync(join(tmpdir(), 'slipway-sshd-'));
  const keyFile = makeKey(join(directory, 'key'));
  copyFileSync(`${keyFile}.pub`, join(directory, 'authorized_keys'));
  for (const type of hostKeys) makeKey(join(directory, `host_${type}`), type);
  mkdirSync('/run/sshd', { recursive: true });
  chmodSync('/run/sshd', 0o755);
  let listening = port ?? (await freePort());
  for (let attempt = 0; ; attempt++) {
    const lines = [
      ...config,
      // bash takes itself for a shell within a shell then, and does not read root's .bashrc, which may be anything and take a second.
      `SetEnv SHLVL=1 ${env.join(' ')}`,
      `Port ${listening}`,
      'ListenAddress 127.0.0.1',
      ...hostKeys.map((type) => `HostKey ${join(directory, `host_${type}`)}`),
      `AuthorizedKeysFile ${join(directory, 'authorized_keys')}`,
      'StrictModes no',
      'PermitRootLogin yes',
      'PidFile none',
      'UsePAM no',
      'PerSourceMaxStartups none',
      'MaxStartups 100',
    ];
    writeFileSync(join(directory, 'config'), `${lines.join('\n')}\n`);
    const child = spawn('/usr/sbin/sshd', ['-D', '-e', '-f', join(directory, 'config')], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    const said = await listens(child);
    if (said === undefined) {
      child.stderr?.resume();
      return {
        port: listening,
        directory,
        keyFile,
        hostKey: (type) => join(directory, `host_${type}.pub`),
        stop: async () => {
          await ended(child);
          rmSync(directory, { recursive: true, force: true });
        },
      };
    }
    await ended(child);
    if (attempt === 4 || !said.includes('Bind to port')) throw new Error(`sshd does not start: ${said}`);
    listening = await freePort();
  }
}

/** A port nobody listens on, for the moment. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}

/** Undefined when it listens; what it said when it ended instead. */
async function listens(child: ChildProcess): Promise<string | undefined> {
  let said = '';
  return await new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', () => resolve(said));
    child.stderr?.on('data', (text: Buffer) => {
      said += text.toString();
      if (said.includes('Server listening')) resolve(undefined);
    });
  });
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exit = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGTERM');
  await exit;
}

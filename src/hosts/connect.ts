import { networkInterfaces } from 'node:os';
import { registerSecret } from '../base/redact.js';
import type { Host } from './host.js';
import { LocalTransport } from './local-transport.js';
import { ShellHost } from './shell-host.js';
import { SshConnection, type SshSettings } from './ssh-connection.js';

export interface ConnectOptions {
  /** Without it, an address of this machine means this machine; every other one is reached as root with default keys. */
  readonly ssh?: SshSettings | undefined;
  /** Password for sudo. Default: the login password. */
  readonly sudoPassword?: string | undefined;
}

/** What is needed besides a connection: for sudo, PAM and a login shell to come to an end. */
const LOGIN_TIMEOUT_MS = 30_000;

/**
 * A host by its address. Nothing is connected yet: the first use does, and throws what {@link SshConnection.open} throws.
 * Passwords and passphrases are registered for redaction.
 */
export function connectHost(address: string, { ssh, sudoPassword }: ConnectOptions = {}): Host {
  for (const secret of [ssh?.password, ssh?.passphrase, sudoPassword]) registerSecret(secret);
  const local = ssh === undefined && isThisMachine(address);
  return new ShellHost({
    address,
    local,
    sudoPassword: sudoPassword ?? ssh?.password,
    loginTimeoutMs: LOGIN_TIMEOUT_MS,
    connect: local ? async () => new LocalTransport(address) : () => SshConnection.open(address, ssh),
  });
}

/**
 * A connection for other hosts to go through (`ssh.via`); the caller closes it after them.
 * @throws SlipwayError as {@link SshConnection.open}
 */
export async function connectBastion(address: string, ssh: SshSettings = {}): Promise<SshConnection> {
  for (const secret of [ssh.password, ssh.passphrase]) registerSecret(secret);
  return await SshConnection.open(address, ssh);
}

/** Whether an address (IP or `localhost`) is this machine's own. */
export function isThisMachine(address: string): boolean {
  if (address === 'localhost' || /^127\.\d+\.\d+\.\d+$/.test(address) || address === '::1') return true;
  return Object.values(networkInterfaces()).some((list) => list?.some((entry) => entry.address === address));
}

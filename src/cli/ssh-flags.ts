import { join } from 'node:path';
import { type Command, Option } from 'commander';
import { SlipwayError } from '../base/errors.js';
import { registerSecret } from '../base/redact.js';
import type { HostKeyPolicy } from '../hosts/host-key-check.js';
import { type Connect, sshConnect } from '../install/cluster-hosts/connect-hosts.js';
import type { SshFlags } from '../install/spec/spec-from-flags.js';
import { parseBastion } from '../install/state/kept-ssh.js';
import { grouped } from './action.js';
import type { CliContext } from './context.js';
import { askPassword } from './prompt.js';

/** How hosts are reached, as commander gives it. */
export interface HostFlags {
  readonly user?: string;
  /** `true` when the flag was given without a value: asked for on the terminal. */
  readonly passwd?: string | true;
  readonly pk?: string;
  readonly pkPasswd?: string;
  readonly port?: string;
  readonly sudoPasswd?: string | true;
  readonly bastion?: string;
  readonly hostKeyCheck: HostKeyPolicy['mode'];
}

export function addHostFlags(command: Command): Command {
  return grouped(command, 'SSH options:', defineHostFlags);
}

function defineHostFlags(command: Command): void {
  command
    .option(
      '-u, --user <name>',
      'who logs in on the hosts; others than root use sudo (default: root, on a known cluster as it was launched)',
    )
    .option('-p, --passwd [password]', 'password of that user; asked for when no value is given (SLIPWAY_SSH_PASSWD)')
    .option('-i, --pk <file>', 'private key of that user (default: the agent, and the keys that ssh would try)')
    .option('--pk-passwd <passphrase>', 'passphrase of the private key (SLIPWAY_SSH_PK_PASSWD)')
    .option('--port <port>', 'port of the SSH servers (default: 22)')
    .option(
      '--sudo-passwd [password]',
      'password for sudo, when it is not that of the login; asked for when no value is given (SLIPWAY_SUDO_PASSWD)',
    )
    .option(
      '--bastion <[user@]host[:port]>',
      'reach the hosts through this machine, with the same key or its own password (SLIPWAY_BASTION_PASSWD)',
    )
    .addOption(
      new Option(
        '--host-key-check <mode>',
        'strict: only known host keys; tofu: a new host is trusted and remembered; off: none is checked',
      )
        .choices(['strict', 'tofu', 'off'])
        .default('tofu'),
    );
}

const read = new WeakMap<HostFlags, Promise<SshFlags>>();

/** The flags as the install engine takes them; passwords that were announced and not given are asked for, once a command. */
export function sshFlags(flags: HostFlags): Promise<SshFlags> {
  const known = read.get(flags) ?? readSshFlags(flags);
  read.set(flags, known);
  return known;
}

async function readSshFlags(flags: HostFlags): Promise<SshFlags> {
  const { user, passwd, pk, pkPasswd, port, sudoPasswd } = flags;
  if (port !== undefined && !/^\d+$/.test(port)) throw new SlipwayError('E_USAGE', `--port ${port} is not a number`);
  const bastion = flags.bastion === undefined ? undefined : parseBastion(flags.bastion);
  if (typeof bastion === 'string') throw new SlipwayError('E_USAGE', `--bastion: ${bastion}`);
  const { SLIPWAY_SSH_PASSWD, SLIPWAY_SSH_PK_PASSWD, SLIPWAY_SUDO_PASSWD, SLIPWAY_BASTION_PASSWD } = process.env;
  const question = `Password of ${user ?? 'root'} on the hosts: `;
  const password = await given('-p', passwd ?? SLIPWAY_SSH_PASSWD, question, 'SLIPWAY_SSH_PASSWD');
  const sudoPassword = await given(
    '--sudo-passwd',
    sudoPasswd ?? SLIPWAY_SUDO_PASSWD,
    'Password for sudo on the hosts: ',
    'SLIPWAY_SUDO_PASSWD',
  );
  const passphrase = pkPasswd ?? SLIPWAY_SSH_PK_PASSWD;
  for (const secret of [password, passphrase, sudoPassword, SLIPWAY_BASTION_PASSWD]) registerSecret(secret);
  return {
    user,
    password,
    privateKey: pk,
    passphrase,
    port: port === undefined ? undefined : Number(port),
    sudoPassword,
    bastion,
    bastionPassword: SLIPWAY_BASTION_PASSWD,
  };
}

/** The value of a flag for a secret; the flag alone asks for it. */
async function given(
  flag: string,
  value: string | true | undefined,
  question: string,
  variable: string,
): Promise<string | undefined> {
  if (value !== true) return value;
  if (!process.stdin.isTTY) {
    throw new SlipwayError('E_USAGE', `${flag} without a password, and there is no terminal to ask at`, {
      hint: `set ${variable}`,
    });
  }
  return askPassword(question);
}

/** Connections whose host keys are checked as asked, first uses remembered beside the store. */
export function hostConnector({ root }: CliContext, { hostKeyCheck }: HostFlags): Connect {
  return sshConnect({ mode: hostKeyCheck, recordFile: join(root, 'known_hosts') });
}

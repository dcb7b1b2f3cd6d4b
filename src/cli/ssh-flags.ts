import { join } from 'node:path';
import { type Command, Option } from 'commander';
import { SlipwayError } from '../base/errors.js';
import { registerSecret } from '../base/redact.js';
import type { HostKeyPolicy } from '../hosts/host-key-check.js';
import { type Connect, sshConnect } from '../install/connect-hosts.js';
import type { SshFlags } from '../install/spec-from-flags.js';
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
  readonly hostKeyCheck: HostKeyPolicy['mode'];
}

export function addHostFlags(command: Command): Command {
  return command
    .option('-u, --user <name>', 'who logs in on the hosts (default: root); others use sudo')
    .option('-p, --passwd [password]', 'password of that user; asked for when no value is given (SLIPWAY_SSH_PASSWD)')
    .option('-i, --pk <file>', 'private key of that user')
    .option('--pk-passwd <passphrase>', 'passphrase of the private key (SLIPWAY_SSH_PK_PASSWD)')
    .option('--port <port>', 'port of the SSH servers (default: 22)')
    .addOption(
      new Option(
        '--host-key-check <mode>',
        'strict: only known host keys; tofu: a new host is trusted and remembered; off: none is checked',
      )
        .choices(['strict', 'tofu', 'off'])
        .default('tofu'),
    );
}

/** The flags as the install engine takes them; a password that was announced and not given is asked for. */
export async function sshFlags({ user, passwd, pk, pkPasswd, port }: HostFlags): Promise<SshFlags> {
  if (port !== undefined && !/^\d+$/.test(port)) throw new SlipwayError('E_USAGE', `--port ${port} is not a number`);
  const given = passwd ?? process.env.SLIPWAY_SSH_PASSWD;
  if (given === true && !process.stdin.isTTY)
    throw new SlipwayError('E_USAGE', '-p without a password, and there is no terminal to ask at', {
      hint: 'set SLIPWAY_SSH_PASSWD',
    });
  const password = given === true ? await askPassword(`Password of ${user ?? 'root'} on the hosts: `) : given;
  const passphrase = pkPasswd ?? process.env.SLIPWAY_SSH_PK_PASSWD;
  registerSecret(password);
  registerSecret(passphrase);
  return { user, password, privateKey: pk, passphrase, port: port === undefined ? undefined : Number(port) };
}

/** Connections whose host keys are checked as asked, first uses remembered beside the store. */
export function hostConnector({ root }: CliContext, { hostKeyCheck }: HostFlags): Connect {
  return sshConnect({ mode: hostKeyCheck, recordFile: join(root, 'known_hosts') });
}

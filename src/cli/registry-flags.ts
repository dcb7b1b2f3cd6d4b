import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Command, Option } from 'commander';
import { SlipwayError } from '../base/errors.js';
import { registerSecret } from '../base/redact.js';
import { readRegistrySettings } from '../registry/config-file.js';
import type { RegistryOptions } from '../registry/options.js';
import { grouped } from './action.js';
import type { CliContext } from './context.js';

/** The flags of every command that talks to a registry. */
export interface RegistryFlags {
  readonly username?: string | undefined;
  readonly password?: string | undefined;
  readonly passwordStdin?: boolean | undefined;
  readonly plainHttp?: boolean | undefined;
  readonly insecureSkipVerify?: boolean | undefined;
  readonly certDir?: string | undefined;
}

const HEADING = 'Registry options:';

/** Flags about how a registry is reached. */
export function addConnectionFlags(command: Command): Command {
  return grouped(command, HEADING, (its) =>
    its
      .option('--plain-http', 'talk http to the registry; localhost and 127.0.0.0/8 need no flag')
      .option('--insecure-skip-verify', "do not check the registry's certificate")
      .option('--cert-dir <dir>', 'CA (*.crt) and client certificate (*.cert, *.key) for the registry')
      .addOption(new Option('--tls-verify [bool]').argParser(notOurs).hideHelp()),
  );
}

/** podman's and skopeo's flag, which means two things. */
function notOurs(): never {
  throw new SlipwayError('E_USAGE', 'there is no --tls-verify', {
    hint: 'for a registry without TLS: --plain-http; for one whose certificate nobody knows: --cert-dir DIR, or --insecure-skip-verify',
  });
}

/** Flags about who one is. */
export function addCredentialFlags(command: Command): Command {
  return grouped(command, HEADING, (its) =>
    its
      .option('-u, --username <name>', 'user name for the registry')
      .option('-p, --password <password>', 'password; others on this machine can see it: --password-stdin is safer')
      .option('--password-stdin', 'read the password from standard input'),
  );
}

/** Flags, then the config file. @throws SlipwayError E_USAGE */
export async function registryOptions(context: CliContext, flags: RegistryFlags): Promise<RegistryOptions> {
  const settings = await readRegistrySettings(join(context.root, 'config.yaml'));
  const credential = readCredential(flags);
  return {
    ...settings,
    ...(credential === undefined ? {} : { credential }),
    ...(flags.plainHttp ? { plainHttp: true } : {}),
    ...(flags.insecureSkipVerify ? { insecureSkipVerify: true } : {}),
    ...(flags.certDir === undefined ? {} : { certDir: flags.certDir }),
    reporter: context.reporter,
    signal: context.signal,
  };
}

/**
 * The name and password that were given, or undefined.
 * @param prefix what the flags begin with.
 */
export function readCredential(
  { username, password, passwordStdin }: RegistryFlags,
  prefix = '--',
): { username: string; password: string } | undefined {
  if (password !== undefined && passwordStdin)
    throw new SlipwayError('E_USAGE', `${prefix}password and ${prefix}password-stdin exclude each other`);
  if (username === undefined && password === undefined && !passwordStdin) return undefined;
  if (username === undefined)
    throw new SlipwayError('E_USAGE', `a password without ${prefix}username`, { hint: 'give both' });
  const given = passwordStdin ? readFileSync(0, 'utf8').replace(/\r?\n$/, '') : password;
  if (given === undefined)
    throw new SlipwayError('E_USAGE', `${prefix}username without a password`, { hint: `add ${prefix}password-stdin` });
  registerSecret(given);
  return { username, password: given };
}

import { type Command, Option } from 'commander';
import { SlipwayError } from '../base/errors.js';
import { registryAddress } from '../image/reference.js';
import type { BasicCredential, RegistryOptions } from '../registry/options.js';
import type { Place } from '../registry/places/place.js';
import type { CliContext } from './context.js';
import { type RegistryFlags, readCredential, registryOptions } from './registry-flags.js';

/** The flags of a command that talks to two registries: those for both, and those for each. */
export interface SideFlags extends RegistryFlags {
  readonly srcCreds?: string;
  readonly srcUsername?: string;
  readonly srcPassword?: string;
  readonly srcPasswordStdin?: boolean;
  readonly srcPlainHttp?: boolean;
  readonly srcInsecureSkipVerify?: boolean;
  readonly srcCertDir?: string;
  readonly destCreds?: string;
  readonly destUsername?: string;
  readonly destPassword?: string;
  readonly destPasswordStdin?: boolean;
  readonly destPlainHttp?: boolean;
  readonly destInsecureSkipVerify?: boolean;
  readonly destCertDir?: string;
}

const SIDES = [
  ['src', 'Source registry options:'],
  ['dest', 'Destination registry options:'],
] as const;

/** Adds `--src-…` and `--dest-…`; skopeo's names where it has the flag. */
export function addSideFlags(command: Command): Command {
  for (const [side, group] of SIDES) {
    const flags: readonly (readonly [string, string])[] = [
      [`--${side}-creds <name:password>`, 'user name and password; others on this machine can see them'],
      [`--${side}-username <name>`, 'user name'],
      [`--${side}-password <password>`, 'password; others on this machine can see it'],
      [`--${side}-password-stdin`, 'read the password from standard input'],
      [`--${side}-plain-http`, 'talk http to it'],
      [`--${side}-insecure-skip-verify`, 'do not check its certificate'],
      [`--${side}-cert-dir <dir>`, 'CA (*.crt) and client certificate (*.cert, *.key) for it'],
    ];
    for (const [flag, description] of flags) command.addOption(new Option(flag, description).helpGroup(group));
  }
  return command;
}

/**
 * How the registry of each side is talked to.
 * @throws SlipwayError E_USAGE when it is not clear to which of two hosts a password is to be sent.
 */
export function sideRegistries(
  context: CliContext,
  flags: SideFlags,
  from: Place,
  to: Place,
): {
  readonly sourceRegistry: () => Promise<RegistryOptions>;
  readonly targetRegistry: () => Promise<RegistryOptions>;
} {
  if ([flags.passwordStdin, flags.srcPasswordStdin, flags.destPasswordStdin].filter(Boolean).length > 1) {
    throw new SlipwayError('E_USAGE', 'only one password can be read from standard input', {
      hint: 'log in to one of the registries before: slipway login',
    });
  }
  const common = readCredential(flags);
  const source = sideCredential('src', flags.srcCreds, {
    username: flags.srcUsername,
    password: flags.srcPassword,
    passwordStdin: flags.srcPasswordStdin,
  });
  const target = sideCredential('dest', flags.destCreds, {
    username: flags.destUsername,
    password: flags.destPassword,
    passwordStdin: flags.destPasswordStdin,
  });
  const [one, other] = [hostOf(from), hostOf(to)];
  const isForBoth = common !== undefined && source === undefined && target === undefined;
  if (isForBoth && one !== undefined && other !== undefined && one !== other) {
    throw new SlipwayError('E_USAGE', `--username is for which registry, ${one} or ${other}?`, {
      hint: 'say it with --src-username or --dest-username',
    });
  }
  const options = async (credential: BasicCredential | undefined, own: RegistryFlags): Promise<RegistryOptions> => ({
    ...(await registryOptions(context, { ...connection(flags), ...connection(own) })),
    ...(credential === undefined ? {} : { credential }),
  });
  return {
    sourceRegistry: () =>
      options(source ?? common, {
        plainHttp: flags.srcPlainHttp,
        insecureSkipVerify: flags.srcInsecureSkipVerify,
        certDir: flags.srcCertDir,
      }),
    targetRegistry: () =>
      options(target ?? common, {
        plainHttp: flags.destPlainHttp,
        insecureSkipVerify: flags.destInsecureSkipVerify,
        certDir: flags.destCertDir,
      }),
  };
}

/** `NAME:PASSWORD` in one, or each by itself. */
function sideCredential(
  side: 'src' | 'dest',
  creds: string | undefined,
  { username, password, passwordStdin }: RegistryFlags,
): BasicCredential | undefined {
  if (creds === undefined) return readCredential({ username, password, passwordStdin }, `--${side}-`);
  if (username !== undefined)
    throw new SlipwayError('E_USAGE', `--${side}-creds and --${side}-username exclude each other`);
  const colon = creds.indexOf(':');
  if (colon < 0) return readCredential({ username: creds, password, passwordStdin }, `--${side}-`);
  return readCredential(
    { username: creds.slice(0, colon), password: creds.slice(colon + 1), passwordStdin },
    `--${side}-`,
  );
}

/** What is set of the flags about how a registry is reached. */
function connection({ plainHttp, insecureSkipVerify, certDir }: RegistryFlags): RegistryFlags {
  return {
    ...(plainHttp ? { plainHttp } : {}),
    ...(insecureSkipVerify ? { insecureSkipVerify } : {}),
    ...(certDir === undefined ? {} : { certDir }),
  };
}

/** Undefined for a place that is no registry. */
function hostOf(place: Place): string | undefined {
  return place.transport === 'docker' ? registryAddress(place.reference).host : undefined;
}

import { isIPv6 } from 'node:net';
import * as z from 'zod';
import { type BastionSpec, DEFAULTS, type SshSpec } from '../spec/cluster-spec.js';

/** How a host was reached, as the state of a cluster keeps it: without passwords and passphrases. */
export const keptSshSchema = z.object({
  user: z.string(),
  port: z.number(),
  privateKey: z.string().optional(),
  knownHosts: z.string().optional(),
  bastion: z
    .object({ host: z.string(), user: z.string(), port: z.number(), privateKey: z.string().optional() })
    .optional(),
});
export type KeptSsh = z.infer<typeof keptSshSchema>;

/** Leaves the secrets out. */
export function keptSsh({ user, port, privateKey, knownHosts, bastion }: SshSpec): KeptSsh {
  return {
    user,
    port,
    ...(privateKey === undefined ? {} : { privateKey }),
    ...(knownHosts === undefined ? {} : { knownHosts }),
    ...(bastion === undefined ? {} : { bastion: keptBastion(bastion) }),
  };
}

function keptBastion({ host, user, port, privateKey }: BastionSpec): NonNullable<KeptSsh['bastion']> {
  return { host, user, port, ...(privateKey === undefined ? {} : { privateKey }) };
}

/**
 * A bastion as flags name it: `[user@]host[:port]`, an IPv6 address with a port in brackets.
 * @returns a sentence that says what is wrong, when it is none.
 */
export function parseBastion(text: string): BastionSpec | string {
  const [, user = DEFAULTS.sshUser, rest = ''] = /^(?:([^@]*)@)?(.*)$/s.exec(text) ?? [];
  if (user.includes(':')) return 'a password cannot be given with it: set SLIPWAY_BASTION_PASSWD';
  const [, bracketed, name, given] = /^(?:\[([^[\]]+)\]|([^\s:[\]/]+))(?::(\d+))?$/.exec(rest) ?? [];
  const host = isIPv6(rest) ? rest : (bracketed ?? name);
  const port = given === undefined ? DEFAULTS.sshPort : Number(given);
  if (host === undefined || user === '' || (bracketed !== undefined && !isIPv6(bracketed)))
    return `${JSON.stringify(text)} is not of the form [user@]host[:port]`;
  return port < 1 || port > 65535 ? `${port} is not a port` : { host, user, port };
}

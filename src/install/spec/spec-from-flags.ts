import { SlipwayError } from '../../base/errors.js';
import { registerSecret } from '../../base/redact.js';
import {
  type BastionSpec,
  type ClusterSpec,
  clusterNameSchema,
  DEFAULTS,
  MASTER,
  NODE,
  parseClusterSpec,
  type SshSpec,
} from './cluster-spec.js';
import { parseIpList } from './ip-list.js';
import { thisMachine } from './this-machine.js';

/** How hosts are reached, as flags say it. */
export interface SshFlags {
  readonly user?: string | undefined;
  readonly password?: string | undefined;
  readonly privateKey?: string | undefined;
  readonly passphrase?: string | undefined;
  readonly port?: number | undefined;
  readonly sudoPassword?: string | undefined;
  readonly knownHosts?: string | undefined;
  readonly bastion?: BastionSpec | undefined;
  /** Of the bastion, wherever that was named. */
  readonly bastionPassword?: string | undefined;
}

/** The flags of `run` that say what is wanted. Lists as {@link parseIpList} reads them. */
export interface RunFlags extends SshFlags {
  readonly image: string;
  readonly masters: string;
  readonly nodes?: string | undefined;
  /** `K=V` each. */
  readonly env?: readonly string[];
  readonly cmds?: readonly string[];
  /** Names of applications. */
  readonly apps?: readonly string[];
  readonly cluster?: string | undefined;
}

/**
 * The wanted state that the flags of `run` describe.
 * @param ownAddress what `localhost` and 127.0.0.1 stand for: the address by which other hosts reach this machine.
 * @throws SlipwayError E_USAGE that lists every mistake at once.
 */
export function specFromFlags(flags: RunFlags, ownAddress: () => string | undefined = thisMachine): ClusterSpec {
  registerSecret(flags.password);
  registerSecret(flags.passphrase);
  const mistakes: string[] = [];
  const masters = readList('--masters', flags.masters, ownAddress, mistakes);
  const nodes = readList('--nodes', flags.nodes ?? '', ownAddress, mistakes);
  if (masters.length === 0 && mistakes.length === 0) mistakes.push('--masters: a cluster needs at least one master');
  const both = nodes.filter((address) => masters.includes(address));
  for (const address of both)
    mistakes.push(`${address} is given as a master and as a node; a host has one of these roles`);
  const env = readEnv(flags.env ?? [], mistakes);
  const name = flags.cluster ?? DEFAULTS.clusterName;
  const named = clusterNameSchema.safeParse(name);
  if (!named.success) mistakes.push(`--cluster ${JSON.stringify(name)}: ${named.error.issues[0]?.message}`);
  const port = flags.port ?? DEFAULTS.sshPort;
  if (!Number.isInteger(port) || port < 1 || port > 65535) mistakes.push(`--port ${port} is not a port`);
  if (mistakes.length > 0) throw usageError(mistakes);

  const ssh = sshSpec(flags);
  const host = (role: string) => (address: string) => ({
    address,
    roles: [role],
    ssh,
    env: {},
  });
  return parseClusterSpec(
    {
      name,
      image: flags.image,
      hosts: [...masters.map(host(MASTER)), ...nodes.map(host(NODE))],
      env,
      ...(flags.cmds === undefined || flags.cmds.length === 0 ? {} : { cmds: flags.cmds }),
      ...(flags.apps === undefined || flags.apps.length === 0 ? {} : { apps: flags.apps }),
      registry: DEFAULTS.registry,
      certSANs: [],
      hostAliases: [],
      configs: [],
      plugins: [],
      configDocuments: [],
      dataRoot: DEFAULTS.dataRoot,
    },
    'the flags',
  );
}

/** How hosts are reached, defaults filled in. */
export function sshSpec(flags: SshFlags): SshSpec {
  const { user, password, privateKey, passphrase, port, sudoPassword, knownHosts, bastion, bastionPassword } = flags;
  const ofBastion = bastion?.password ?? bastionPassword;
  return {
    user: user ?? DEFAULTS.sshUser,
    port: port ?? DEFAULTS.sshPort,
    ...(password === undefined ? {} : { password }),
    ...(privateKey === undefined ? {} : { privateKey }),
    ...(passphrase === undefined ? {} : { passphrase }),
    ...(sudoPassword === undefined ? {} : { sudoPassword }),
    ...(knownHosts === undefined ? {} : { knownHosts }),
    ...(bastion === undefined
      ? {}
      : { bastion: { ...bastion, ...(ofBastion === undefined ? {} : { password: ofBastion }) } }),
  };
}

function readList(
  flag: string,
  text: string,
  ownAddress: () => string | undefined,
  mistakes: string[],
): readonly string[] {
  const found: string[] = [];
  const addresses = readAddresses(text, ownAddress, found);
  mistakes.push(...found.map((mistake) => `${flag}: ${mistake}`));
  const twice = new Set(addresses.filter((address, index) => addresses.indexOf(address) !== index));
  for (const address of twice) mistakes.push(`${flag}: ${address} is given twice`);
  return addresses;
}

/**
 * Addresses as {@link parseIpList} reads them; `localhost` and loopback addresses stand for the address of this machine.
 * @param mistakes takes a sentence for each.
 */
export function readAddresses(
  text: string,
  ownAddress: () => string | undefined,
  mistakes: string[],
): readonly string[] {
  const list = parseIpList(text.replace(/\blocalhost\b/gi, '127.0.0.1'));
  mistakes.push(...list.mistakes);
  return list.addresses.map((address) => (isLoopback(address) ? (ownAddress() ?? address) : address));
}

function isLoopback(address: string): boolean {
  return address.startsWith('127.') || address === '::1';
}

/** Variables that are given as `NAME=VALUE`. @throws SlipwayError E_USAGE */
export function envFromFlags(pairs: readonly string[]): Record<string, string> {
  const mistakes: string[] = [];
  const env = readEnv(pairs, mistakes);
  if (mistakes.length > 0) throw usageError(mistakes);
  return env;
}

function readEnv(pairs: readonly string[], mistakes: string[]): Record<string, string> {
  const env: Record<string, string> = {};
  for (const pair of pairs) {
    const equals = pair.indexOf('=');
    const key = equals < 0 ? pair : pair.slice(0, equals);
    if (equals < 0) mistakes.push(`-e ${JSON.stringify(key)}: a value is missing; write -e ${key}=VALUE`);
    else if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(key))
      mistakes.push(`-e: ${JSON.stringify(key)} is not a name of a variable`);
    else env[key] = pair.slice(equals + 1);
  }
  return env;
}

/** Flags that are not lists of hosts; each of their mistakes says what is wanted. */
const OTHER_FLAG = /^(--cluster|--port|-e)\b/;

function usageError(mistakes: readonly string[]): SlipwayError {
  const hint = mistakes.every((one) => OTHER_FLAG.test(one))
    ? 'docs/commands.md and "slipway COMMAND --help" have every flag'
    : 'hosts are given like --masters 10.0.0.2,10.0.0.3 --nodes 10.0.0.5-10.0.0.9';
  const [only] = mistakes;
  if (mistakes.length === 1 && only !== undefined) return new SlipwayError('E_USAGE', only, { hint });
  return new SlipwayError('E_USAGE', `${mistakes.length} mistakes:\n${mistakes.map((one) => `  ${one}`).join('\n')}`, {
    hint,
  });
}

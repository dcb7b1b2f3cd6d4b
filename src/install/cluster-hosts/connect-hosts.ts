import { isSlipwayError, messageOf, SlipwayError } from '../../base/errors.js';
import { connectHost, isThisMachine } from '../../hosts/connect.js';
import type { Host } from '../../hosts/host.js';
import { tryOnHosts } from '../../hosts/host-group.js';
import type { HostKeyPolicy } from '../../hosts/host-key-check.js';
import { SharedBastions } from '../../hosts/shared-bastions.js';
import type { SshSettings } from '../../hosts/ssh-connection.js';
import { type HostFinding, NEEDED_PROGRAMS } from '../plan/preflight.js';
import type { BastionSpec, HostSpec, SshSpec } from '../spec/cluster-spec.js';
import { HostLog, loggedHost } from './host-log.js';
import { findTraces } from './host-owner.js';

/** Makes a host of its specification. Connects at the first use. */
export interface Connect {
  (spec: HostSpec): Host;
  /** Ends what several hosts share, when they are done with: connections to bastions. */
  close?(): Promise<void>;
}

/** Hosts that are connected, with a log each. */
export interface HostSet {
  /** Every command is logged. */
  readonly hosts: ReadonlyMap<string, Host>;
  /** The same without logging, for what is asked again and again. */
  readonly quiet: ReadonlyMap<string, Host>;
  readonly logs: ReadonlyMap<string, HostLog>;
  /** Ends connections and logs; gives what could not be logged. */
  close(): Promise<readonly string[]>;
}

/** Reaches hosts over SSH; this machine, when nothing is said about how, without. */
export function sshConnect(policy: HostKeyPolicy = {}): Connect {
  const bastions = new SharedBastions();
  const connect = ({ address, ssh }: HostSpec): Host => {
    const { password, privateKey, sudoPassword, knownHosts, bastion } = ssh;
    if (bastion === undefined && password === undefined && privateKey === undefined && isThisMachine(address))
      return connectHost(address, { sudoPassword });
    const hostKeys =
      knownHosts === undefined ? policy : { ...policy, readFiles: [knownHosts, '/etc/ssh/ssh_known_hosts'] };
    const settings = { ...loginOf(ssh), hostKeys };
    if (bastion === undefined) return connectHost(address, { ssh: settings, sudoPassword });
    const ofBastion = { ...loginOf(bastionLogin(ssh, bastion)), hostKeys };
    const via = () => bastions.connect(bastion.host, ofBastion);
    return connectHost(address, { ssh: { ...settings, via }, sudoPassword });
  };
  return Object.assign(connect, { close: () => bastions.close() });
}

/** As `ssh -J` does it, a bastion is shown the key of the hosts when it has none of its own; never their password. */
function bastionLogin({ privateKey, passphrase }: SshSpec, bastion: BastionSpec): BastionSpec {
  if (bastion.privateKey !== undefined && bastion.privateKey !== privateKey) return bastion;
  return {
    ...bastion,
    ...(privateKey === undefined ? {} : { privateKey }),
    ...(bastion.passphrase !== undefined || passphrase === undefined ? {} : { passphrase }),
  };
}

function loginOf({ user, port, password, privateKey, passphrase }: SshSpec | BastionSpec): SshSettings {
  return { user, port, password, passphrase, ...(privateKey === undefined ? {} : { keyFile: privateKey }) };
}

/** Prepares hosts; every command that runs there is written to `LOGS/ADDRESS.log`. */
export async function openHosts(specs: readonly HostSpec[], logsDir: string, connect: Connect): Promise<HostSet> {
  const hosts = new Map<string, Host>();
  const quiet = new Map<string, Host>();
  const logs = new Map<string, HostLog>();
  for (const spec of specs) {
    const log = await HostLog.open(logsDir, spec.address);
    logs.set(spec.address, log);
    const host = connect(spec);
    quiet.set(spec.address, host);
    hosts.set(spec.address, loggedHost(host, log));
  }
  return {
    hosts,
    quiet,
    logs,
    async close() {
      await Promise.all([...hosts.values()].map((host) => host.close().catch(() => {})));
      await connect.close?.();
      const problems = await Promise.all([...logs.values()].map((log) => log.close()));
      return problems.filter((problem) => problem !== undefined);
    },
  };
}

/** Looks at every host, whatever becomes of the others. Changes nothing. */
export async function lookAtHosts(
  specs: readonly HostSpec[],
  { hosts }: HostSet,
  dataRoot: string,
  options: {
    readonly concurrency: number;
    readonly signal: AbortSignal;
    /** Programs to look for besides those that are always needed. */
    readonly programs?: readonly string[];
  },
): Promise<HostFinding[]> {
  const { results, failures } = await tryOnHosts(
    [...hosts.values()],
    async (host) => {
      const [facts, traces] = await Promise.all([
        host.facts({ diskPath: dataRoot, programs: [...NEEDED_PROGRAMS, ...(options.programs ?? [])] }),
        findTraces(host, dataRoot),
      ]);
      return { facts, traces };
    },
    options,
  );
  const failed = new Map(failures.map(({ address, error }) => [address, error]));
  return specs.map((host) => {
    const found = results.get(host.address);
    return found === undefined ? { host, failure: asSlipwayError(host, failed.get(host.address)) } : { host, ...found };
  });
}

function asSlipwayError({ address }: HostSpec, error: unknown): SlipwayError {
  if (isSlipwayError(error)) return error;
  return new SlipwayError('E_INTERNAL', `host ${address}: ${messageOf(error)}`, { cause: error });
}

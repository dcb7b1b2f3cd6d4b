import { isDeepStrictEqual } from 'node:util';
import { stringify } from 'yaml';
import type { RuntimeDriver } from '../../runtime/driver.js';
import { DEFAULTS } from '../spec/cluster-spec.js';
import type { PluginSpec } from '../spec/plugin-spec.js';
import type { ClusterState, HostState } from '../state/cluster-state.js';

/**
 * The Clusterfile that describes a cluster as its state has it. Secrets are not known: where one belongs, a variable of the environment stands
 * that must be set when the file is used. Pure.
 */
export function clusterfileOf(state: ClusterState, { namesDocument }: Pick<RuntimeDriver, 'namesDocument'>): string {
  const hosts = state.hosts.filter(({ leaving }) => leaving !== true);
  const common = commonSsh(hosts);
  const cluster = {
    apiVersion: 'slipway/v1',
    kind: 'Cluster',
    metadata: { name: state.name },
    spec: {
      ...(state.foreign === true ? {} : { image: state.image.name }),
      ...listed('env', [...assignments(state.env), ...state.envNotKept.map((name) => `${name}=\${env:${name}}`)]),
      ...(state.cmds === undefined ? {} : { cmd: state.cmds }),
      ...(state.apps === undefined ? {} : { appNames: state.apps }),
      ...(state.dataRoot === DEFAULTS.dataRoot ? {} : { dataRoot: state.dataRoot }),
      ssh: sshDocument(common),
      hosts: groups(hosts).map(({ ips, like }) => ({
        ips,
        roles: like.roles,
        ...ownSsh(like.ssh, common),
        ...listed('env', assignments(like.env)),
        ...(Object.keys(like.labels ?? {}).length === 0 ? {} : { labels: like.labels }),
        ...listed('taints', like.taints ?? []),
      })),
      ...listed(
        'hostAliases',
        state.hostAliases.map(({ address, names }) => ({ ip: address, hostnames: names })),
      ),
      ...(state.containerRuntime === undefined ? {} : { containerRuntime: { type: state.containerRuntime } }),
      ...registryDocument(state.registry),
    },
  };
  const configs = state.configs.map(({ path, data, strategy, process, name }) => ({
    apiVersion: 'slipway/v1',
    kind: 'Config',
    metadata: { name: name ?? path.replace(/[^a-z0-9]+/gi, '-').toLowerCase() },
    spec: { path, data, strategy, ...(process === undefined ? {} : { process: process.join('|') }) },
  }));
  const documents = [
    cluster,
    ...configs,
    ...state.plugins.map(pluginDocument),
    ...state.configDocuments,
    ...(state.certSANs.length === 0 ? [] : [namesDocument(state.certSANs, state.configDocuments)]),
  ];
  return documents.map((one) => stringify(one, { lineWidth: 0, aliasDuplicateObjects: false })).join('---\n');
}

function pluginDocument({ name, type, phases, on, scope, data, timeoutMs }: PluginSpec): object {
  return {
    apiVersion: 'slipway/v1',
    kind: 'Plugin',
    metadata: { name },
    spec: {
      type,
      ...(phases.length === 0 ? {} : { action: phases.join('|') }),
      ...(on === undefined ? {} : { on }),
      ...(scope === undefined ? {} : { scope }),
      ...(timeoutMs === undefined ? {} : { timeout: `${timeoutMs}ms` }),
      ...(data === '' ? {} : { data }),
    },
  };
}

/** Hosts of which everything but the address is the same are one entry. */
function groups(hosts: readonly HostState[]): readonly { readonly ips: string[]; readonly like: HostState }[] {
  const found: { readonly ips: string[]; readonly like: HostState }[] = [];
  for (const host of hosts) {
    const same = found.find(({ like }) => isDeepStrictEqual(settings(like), settings(host)));
    if (same === undefined) found.push({ ips: [host.address], like: host });
    else same.ips.push(host.address);
  }
  return found;
}

function settings({ roles, ssh, env, labels = {}, taints = [] }: HostState): unknown {
  return { roles, ssh, env, labels, taints };
}

/** What is the same for all hosts: what a host says is laid over it, field by field. */
function commonSsh(hosts: readonly HostState[]): Partial<HostState['ssh']> {
  const [first, ...others] = hosts.map(({ ssh }) => new Map(Object.entries(ssh)));
  const shared = [...(first ?? [])].filter(([name, value]) =>
    others.every((one) => isDeepStrictEqual(one.get(name), value)),
  );
  return Object.fromEntries(shared);
}

function ownSsh(ssh: HostState['ssh'], common: Partial<HostState['ssh']>): { readonly ssh?: object } {
  const own = Object.entries(ssh).filter(([name]) => !Object.hasOwn(common, name));
  return own.length === 0 ? {} : { ssh: sshDocument(Object.fromEntries(own)) };
}

function sshDocument({ user, port, privateKey, knownHosts, bastion }: Partial<HostState['ssh']>): object {
  return {
    ...(user === undefined ? {} : { user }),
    ...(port === undefined ? {} : { port }),
    ...(privateKey === undefined ? {} : { pk: privateKey }),
    ...(knownHosts === undefined ? {} : { knownHosts }),
    ...(bastion === undefined
      ? {}
      : {
          bastion: {
            host: bastion.host,
            user: bastion.user,
            port: bastion.port,
            ...(bastion.privateKey === undefined ? {} : { pk: bastion.privateKey }),
          },
        }),
  };
}

function registryDocument(known: ClusterState['registry']): object {
  const { domain, port, username, names = [], ha, insecure, external, ca } = known;
  const { registry } = DEFAULTS;
  const user = username === undefined ? {} : { username, password: '${env:REGISTRY_PASSWORD}' };
  const plain = insecure === undefined ? {} : { insecure };
  if (external === true) {
    return { registry: { externalRegistry: { domain, port, ...user, ...plain, ...(ca === undefined ? {} : { ca }) } } };
  }
  const isUsual = domain === registry.domain && port === registry.port && ha !== true && insecure !== true;
  if (isUsual && username === undefined && names.length === 0) return {};
  const ips = names.filter((name) => /^[\d.]+$|:/.test(name));
  const dnsNames = names.filter((name) => !ips.includes(name));
  const localRegistry = {
    domain,
    port,
    ...user,
    ...(ha === undefined ? {} : { ha }),
    ...plain,
    ...(names.length === 0
      ? {}
      : { cert: { subjectAltName: { ...listed('dnsNames', dnsNames), ...listed('ips', ips) } } }),
  };
  return { registry: { localRegistry } };
}

function listed<T>(name: string, list: readonly T[]): Record<string, readonly T[]> {
  return list.length === 0 ? {} : { [name]: list };
}

function assignments(env: Readonly<Record<string, string>>): string[] {
  return Object.entries(env).map(([name, value]) => `${name}=${value}`);
}

import { redact, registerSecret } from '../../base/redact.js';
import type { AppConfigSpec, ClusterSpec } from '../spec/cluster-spec.js';
import type { PluginSpec } from '../spec/plugin-spec.js';
import type { ClusterState } from './cluster-state.js';

const SECRET_NAME = /pass|secret|token|credential|private|(?:^|_)key$|api_?key/i;
const SHORTEST_SECRET = 8;
const CAMEL_KEY = /[a-z]Key$/;

/**
 * Takes what looks like a secret out of an environment, by its name or because it is a known one: for whatever is kept, and for digests
 * that are kept, from which a short secret could be guessed.
 */
export function keepableEnv(env: Readonly<Record<string, string>>): {
  readonly env: Record<string, string>;
  readonly envNotKept: string[];
} {
  const entries = Object.entries(env);
  const secret = ([name, value]: [string, string]): boolean =>
    SECRET_NAME.test(name) || CAMEL_KEY.test(name) || hasSecret(value);
  return {
    env: Object.fromEntries(entries.filter((entry) => !secret(entry))),
    envNotKept: entries.filter(secret).map(([name]) => name),
  };
}

/** Lets redaction know the variables of a cluster that look like secrets, so that what prints them does not get into logs. */
export function registerSecretVariables({
  env,
  hosts,
  appConfigs = [],
}: Pick<ClusterSpec, 'env' | 'appConfigs'> & {
  readonly hosts: readonly { readonly env: ClusterSpec['env'] }[];
}): void {
  for (const variables of [env, ...hosts.map((host) => host.env), ...appConfigs.map((app) => app.env)]) {
    for (const name of keepableEnv(variables).envNotKept) {
      const value = variables[name] ?? '';
      // `TOKEN_CHECK=true` is none, and would take every "true" out of every message.
      if (value.length >= SHORTEST_SECRET) registerSecret(value);
    }
  }
}

/** The settings of a cluster, besides its hosts, that its state keeps, without secrets. */
export type KeptSettings = Pick<
  ClusterState,
  | 'dataRoot'
  | 'registry'
  | 'env'
  | 'envNotKept'
  | 'notKept'
  | 'cmds'
  | 'apps'
  | 'appConfigs'
  | 'containerRuntime'
  | 'certSANs'
  | 'hostAliases'
  | 'configs'
  | 'plugins'
  | 'configDocuments'
>;

/**
 * What is kept of a specification. A file or document in which there is a known secret is left out whole, and named, so that a later
 * command that needs it can ask for it.
 */
export function keptSettings(spec: ClusterSpec): KeptSettings {
  const { registry, configs, plugins, configDocuments, cmds } = spec;
  const ofApps = keptAppConfigs(spec.appConfigs ?? []);
  const { env, envNotKept } = keepableEnv(spec.env);
  const ofHosts = spec.hosts.flatMap((host) => keepableEnv(host.env).envNotKept);
  return {
    dataRoot: spec.dataRoot,
    registry: {
      domain: registry.domain,
      port: registry.port,
      ...(registry.username === undefined ? {} : { username: registry.username }),
      ...(registry.names === undefined ? {} : { names: registry.names }),
      ...(registry.ha === undefined ? {} : { ha: registry.ha }),
      ...(registry.insecure === undefined ? {} : { insecure: registry.insecure }),
      ...(registry.external === undefined ? {} : { external: registry.external }),
      ...(registry.ca === undefined ? {} : { ca: registry.ca }),
    },
    env,
    envNotKept: [...new Set([...envNotKept, ...ofHosts])],
    notKept: [
      ...(registry.password === undefined ? [] : ['the password of the registry']),
      ...configs.filter(({ data }) => hasSecret(data)).map(({ path }) => `Config ${path}`),
      ...plugins.filter(isSecret).map(({ name }) => `Plugin ${name}`),
      ...(cmds?.some(hasSecret) ? ['the launch commands'] : []),
      ...ofApps.notKept,
      ...configDocuments.filter(hasSecretInside).map(({ kind }) => `document ${String(kind)}`),
    ],
    ...(cmds === undefined || cmds.some(hasSecret) ? {} : { cmds }),
    ...(spec.apps === undefined ? {} : { apps: spec.apps }),
    ...(spec.appConfigs === undefined ? {} : { appConfigs: ofApps.kept }),
    ...(spec.containerRuntime === undefined ? {} : { containerRuntime: spec.containerRuntime }),
    certSANs: spec.certSANs,
    hostAliases: spec.hostAliases,
    configs: configs.filter(({ data }) => !hasSecret(data)),
    plugins: keepablePlugins(plugins),
    configDocuments: keepableDocuments(configDocuments),
  };
}

/** Documents without those in which there is a known secret. */
export function keepableDocuments(documents: ClusterSpec['configDocuments']): ClusterSpec['configDocuments'] {
  return documents.filter((one) => !hasSecretInside(one));
}

/** Plugins without those in which there is a known secret. */
export function keepablePlugins(plugins: readonly PluginSpec[]): PluginSpec[] {
  return plugins.filter((one) => !isSecret(one));
}

function isSecret({ data, on = '' }: PluginSpec): boolean {
  return hasSecret(data) || hasSecret(on);
}

/** What is kept of the configuration of applications; what is left out is named for people. */
export function keptAppConfigs(configs: readonly AppConfigSpec[]): {
  readonly kept: AppConfigSpec[];
  readonly notKept: string[];
} {
  const notKept: string[] = [];
  const kept = configs.map((config): AppConfigSpec => {
    const { name, files, launch, delete: deletes } = config;
    const { env, envNotKept } = keepableEnv(config.env);
    notKept.push(...envNotKept.map((variable) => `the variable ${variable} of the application ${name}`));
    const keep = <T>(what: string, value: T, text: string): T | undefined => {
      if (!hasSecret(text)) return value;
      notKept.push(`${what} of the application ${name}`);
      return undefined;
    };
    const launched = launch && keep('the launch commands', launch, launch.join('\n'));
    const deleted = deletes && keep('the delete commands', deletes, deletes.join('\n'));
    return {
      name,
      env,
      files: files.flatMap((file) => keep(`the file ${file.path}`, file, file.data) ?? []),
      ...(launched === undefined ? {} : { launch: launched }),
      ...(deleted === undefined ? {} : { delete: deleted }),
    };
  });
  return { kept, notKept };
}

/** Text by text: as JSON a secret with quotes or backslashes in it is another one. */
function hasSecretInside(value: unknown): boolean {
  if (typeof value === 'string') return hasSecret(value);
  if (typeof value !== 'object' || value === null) return hasSecret(String(value));
  return Object.entries(value).some(([key, one]) => hasSecret(key) || hasSecretInside(one));
}

function hasSecret(text: string): boolean {
  return redact(text) !== text;
}

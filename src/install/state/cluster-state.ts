import { readFile } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import * as z from 'zod';
import { errnoOf, fileSystemError, SlipwayError } from '../../base/errors.js';
import { makeDirectory } from '../../base/make-directory.js';
import { zodProblems } from '../../base/zod-error.js';
import { replaceFile } from '../../store/durable.js';
import { appConfigSchema, configSchema, hostAliasSchema } from '../spec/cluster-spec.js';
import { pluginSpecSchema } from '../spec/plugin-spec.js';
import { appStateSchema } from './app-state.js';
import type { StatePaths } from './cluster-paths.js';
import { keptSshSchema } from './kept-ssh.js';

const hostStateSchema = z.object({
  address: z.string(),
  roles: z.array(z.string()),
  hostname: z.string(),
  machineId: z.string(),
  /** How it was reached; a password is never kept. */
  ssh: keptSshSchema,
  env: z.record(z.string(), z.string()),
  labels: z.record(z.string(), z.string()).optional(),
  taints: z.array(z.string()).optional(),
  /** It is out of the cluster, or was never in it, and not clean yet: something of the cluster may be on it. */
  leaving: z.boolean().optional(),
  /** Its number among the hosts, never given to another one: chooses its pod addresses where that is by hand. */
  index: z.number().int().nonnegative(),
});
export type HostState = z.infer<typeof hostStateSchema>;

const SCHEMA = 1;

const stateSchema = z.object({
  schema: z.literal(SCHEMA),
  /** Of this cluster and no other one of the same name. */
  id: z.string(),
  /**
   * Which of its states it is: one more with each that masters were given to keep, and an id for two machines that count alike. Undefined
   * while they have none.
   */
  revision: z.object({ number: z.number().int().positive(), id: z.string() }).optional(),
  name: z.string(),
  phase: z.enum(['installing', 'running', 'resetting']),
  /** Somebody else made it: it is looked at and its certificates are cared for, but nothing is installed on its hosts. */
  foreign: z.boolean().optional(),
  image: z.object({ name: z.string(), digest: z.string() }),
  /** What it ran before the last upgrade. */
  previous: z.object({ name: z.string(), digest: z.string(), version: z.string() }).optional(),
  /** On the way to its image, and not there yet: which command began it. */
  changing: z.enum(['upgrade', 'rollback']).optional(),
  /** When that was begun: hooks run once in it. */
  changeBegun: z.string().optional(),
  /** Hosts that are on their way into the cluster, which is up, and when the first of them was. */
  scaleUp: z.object({ hosts: z.array(z.string()), begun: z.string() }).optional(),
  runtime: z.string(),
  version: z.string(),
  dataRoot: z.string(),
  registry: z.object({
    domain: z.string(),
    port: z.number(),
    username: z.string().optional(),
    names: z.array(z.string()).optional(),
    ha: z.boolean().optional(),
    insecure: z.boolean().optional(),
    external: z.boolean().optional(),
    ca: z.string().optional(),
    /** The host that serves it, of several the first; undefined when the image brings no registry. */
    address: z.string().optional(),
    /** All hosts that serve it, where there are several. */
    addresses: z.array(z.string()).optional(),
    /** Registries that images were put in place of which the image knows nothing: `quay.io`. */
    mirrors: z.array(z.string()).optional(),
  }),
  /** Without values that look like secrets; `envNotKept` names those, of hosts too. */
  env: z.record(z.string(), z.string()),
  envNotKept: z.array(z.string()),
  /** What else of the specification had secrets in it and is not here, for people: `Config etc/app.conf`. */
  notKept: z.array(z.string()).default([]),
  containerRuntime: z.string().optional(),
  hostAliases: z.array(hostAliasSchema).default([]),
  configs: z.array(configSchema).default([]),
  /** Of the Clusterfile. */
  plugins: z.array(pluginSpecSchema).default([]),
  /** Of the image, which may be gone when hosts are cleaned. */
  imagePlugins: z.array(pluginSpecSchema).default([]),
  configDocuments: z.array(z.record(z.string(), z.unknown())).default([]),
  /** These and those of the image: what the cluster was configured with. */
  documents: z.array(z.record(z.string(), z.unknown())).default([]),
  cmds: z.array(z.string()).optional(),
  apps: z.array(z.string()).optional(),
  appConfigs: z.array(appConfigSchema).optional(),
  /** Registries that the image's container images come from; undefined in states that were written before it was kept. */
  upstreams: z.array(z.string()).optional(),
  /** Application images that were installed on it, by name. */
  applications: z.array(appStateSchema).default([]),
  certSANs: z.array(z.string()),
  hosts: z.array(hostStateSchema),
  created: z.string(),
  updated: z.string(),
});

/** What is known of a cluster between two commands. Without secrets. */
export type ClusterState = z.infer<typeof stateSchema>;

/** Addresses of the hosts that serve the registry, in the order in which they are asked. */
export function registryServers({ registry }: Pick<ClusterState, 'registry'>): readonly string[] {
  return registry.addresses ?? (registry.address === undefined ? [] : [registry.address]);
}

/** Who serves the registry, as a state has it. Pure. */
export function servedBy(servers: readonly string[]): Pick<ClusterState['registry'], 'address' | 'addresses'> {
  const [first] = servers;
  return {
    ...(first === undefined ? {} : { address: first }),
    ...(servers.length > 1 ? { addresses: [...servers] } : {}),
  };
}

/**
 * The state of a cluster; undefined when there is none.
 * @throws SlipwayError E_CLUSTER_STATE when it cannot be read, or is that of another cluster: it is never guessed.
 */
export async function readClusterState(paths: StatePaths): Promise<ClusterState | undefined> {
  const bad = (why: string): SlipwayError =>
    new SlipwayError('E_CLUSTER_STATE', `${paths.state} cannot be read: ${why}`, {
      hint: 'bring it back from a copy; or move it away and let the hosts say it: slipway gen --masters IPS',
    });
  let text: string;
  try {
    text = await readFile(paths.state, 'utf8');
  } catch (error) {
    const code = errnoOf(error);
    // ENOTDIR: a file of somebody lies among the clusters.
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    throw code === 'EISDIR' ? bad('it is a directory') : fileSystemError(error, `reading ${paths.state}`);
  }
  const parsed = parseClusterState(text);
  if (typeof parsed === 'string') throw bad(parsed);
  const named = basename(paths.dir);
  // Somebody's copy of the directory: taken for a cluster, a reset of the copy would take the hosts of the real one.
  if (parsed.name !== named) {
    throw new SlipwayError(
      'E_CLUSTER_STATE',
      `${paths.state} is the state of the cluster ${parsed.name}, not of ${named}`,
      {
        hint: `if it is a copy, move ${paths.dir} out of ${dirname(paths.dir)}`,
      },
    );
  }
  return parsed;
}

/** Reads the text of a state. @returns a sentence that says what is wrong, when it is none. */
export function parseClusterState(text: string): ClusterState | string {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return 'it is not valid JSON';
  }
  const newer = z.object({ schema: z.number().gt(SCHEMA) }).safeParse(value);
  if (newer.success) return `a newer Slipway has written it (schema ${newer.data.schema})`;
  const parsed = stateSchema.safeParse(value);
  return parsed.success ? parsed.data : zodProblems(parsed.error);
}

/** Replaces the state, whole: a reader, and a crash, see the old or the new one. */
export async function writeClusterState(paths: StatePaths, state: ClusterState): Promise<void> {
  const text = `${JSON.stringify({ ...state, updated: new Date().toISOString() }, null, 2)}\n`;
  try {
    await makeDirectory(paths.dir, 0o700);
    await replaceFile(paths.state, `${paths.state}.new`, text, 0o600);
  } catch (error) {
    throw fileSystemError(error, `writing ${paths.state}`);
  }
}

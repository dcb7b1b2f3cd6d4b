import * as z from 'zod';
import { SlipwayError } from '../../base/errors.js';
import { zodProblems } from '../../base/zod-error.js';
import { normalizeIp } from './ip-list.js';
import { pluginSpecSchema } from './plugin-spec.js';

/** Roles that mean something to the installer; any other name only scopes hooks. */
export const MASTER = 'master';
export const NODE = 'node';

/** Names that a cluster cannot have: the store has a directory of that name beside the clusters. */
const RESERVED_NAMES = new Set(['overlay2']);

const address = z.string().refine((text) => normalizeIp(text) === text, 'not an IP address');

const loginSchema = z.strictObject({
  user: z.string().min(1),
  port: z.number().int().min(1).max(65535),
  password: z.string().optional(),
  /** Path of a private key on this machine. */
  privateKey: z.string().optional(),
  passphrase: z.string().optional(),
});

/** A machine that hosts are reached through. What its login lacks in keys is taken from that of the host. */
const bastionSchema = loginSchema.extend({ host: z.string().min(1) });
export type BastionSpec = z.infer<typeof bastionSchema>;

const sshSchema = loginSchema.extend({
  /** For sudo; the login password when not given. */
  sudoPassword: z.string().optional(),
  /** A file of host keys, instead of the user's own. */
  knownHosts: z.string().optional(),
  bastion: bastionSchema.optional(),
});
/** How a host is reached. Passwords are only ever in memory. */
export type SshSpec = z.infer<typeof sshSchema>;

export const envSchema = z.record(
  z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/, 'not a name of an environment variable'),
  z.string(),
);

const hostSchema = z.strictObject({
  address,
  roles: z.array(z.string().min(1)).min(1),
  ssh: sshSchema,
  env: envSchema,
  /** Of the node. */
  labels: z.record(z.string(), z.string()).optional(),
  /** `key=value:Effect`, `key:Effect`; with a `-` behind it: there shall be no such taint. */
  taints: z.array(z.string()).optional(),
});
export type HostSpec = z.infer<typeof hostSchema>;

const registrySchema = z.strictObject({
  domain: z.string().regex(/^[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?$/, 'not a host name in lower case'),
  port: z.number().int().min(1).max(65535),
  username: z.string().optional(),
  password: z.string().optional(),
  /** Names and addresses, besides its domain and the host's address, that its certificate is good for. */
  names: z.array(z.string().min(1)).optional(),
  /** Every master serves it, not only the first. */
  ha: z.boolean().optional(),
  /** Without TLS. */
  insecure: z.boolean().optional(),
  /** It is outside of the cluster: what the image brings is uploaded to it, and no host serves it. */
  external: z.boolean().optional(),
  /** Certificates (PEM) of who signed that of an external one; undefined: hosts know it. */
  ca: z.string().optional(),
});
export type RegistrySpec = z.infer<typeof registrySchema>;

export const hostAliasSchema = z.strictObject({ address, names: z.array(z.string().min(1)).min(1) });

/** What can be done with the data of a Config before it becomes a file. Names are sealer's. */
export const CONFIG_PROCESSES = ['value', 'toJson', 'toBase64', 'toSecret'] as const;
export type ConfigProcess = (typeof CONFIG_PROCESSES)[number];

export function isConfigProcess(word: string): word is ConfigProcess {
  return (CONFIG_PROCESSES as readonly string[]).includes(word);
}

export const configSchema = z.strictObject({
  path: z.string().min(1),
  data: z.string(),
  strategy: z.enum(['overwrite', 'merge']),
  /** In this order. */
  process: z.array(z.enum(CONFIG_PROCESSES)).optional(),
  /** Of the Secret that it becomes. */
  name: z.string().optional(),
});
/** A file of the rootfs that is another one than the image's. */
export type ConfigSpec = z.infer<typeof configSchema>;

/** What is another one of an application than its image says. */
export const appConfigSchema = z.strictObject({
  /** Of the application. */
  name: z.string().min(1),
  /** Beats its own variables, and those of the cluster. */
  env: envSchema,
  /** Paths begin in the directory of the application. */
  files: z.array(configSchema),
  /** Instead of the commands that start it. */
  launch: z.array(z.string().min(1)).optional(),
  /** Instead of the commands that take it away. */
  delete: z.array(z.string().min(1)).optional(),
  /** Where this was written, for errors: `Clusterfile:12:7`. */
  place: z.string().optional(),
});
export type AppConfigSpec = z.infer<typeof appConfigSchema>;

/** The name of a cluster becomes a directory name and part of object names: a DNS label. */
export const clusterNameSchema = z
  .string()
  .regex(/^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/, 'a cluster name is lower-case letters, digits and "-", at most 63')
  .refine((name) => !RESERVED_NAMES.has(name), 'this name is taken by the store');

const clusterSpecSchema = z
  .strictObject({
    name: clusterNameSchema,
    /** As in `images`: `localhost:5000/k8s:v1.29.2`. */
    image: z.string().min(1),
    hosts: z.array(hostSchema).min(1),
    env: envSchema,
    /** What is run when the cluster is up; undefined: what the image says. */
    cmds: z.array(z.string().min(1)).optional(),
    /** Applications of the image that are started; undefined: those that it says. */
    apps: z.array(z.string().min(1)).optional(),
    appConfigs: z.array(appConfigSchema).optional(),
    registry: registrySchema,
    /** `containerd`, `docker`; undefined: what the image brings. */
    containerRuntime: z.string().optional(),
    certSANs: z.array(z.string()),
    /** Lines for /etc/hosts of every host. */
    hostAliases: z.array(hostAliasSchema),
    configs: z.array(configSchema),
    /** Hooks, and what else plugins of sealer do. */
    plugins: z.array(pluginSpecSchema).default([]),
    /** kubeadm, k0s and k3s documents to merge over what is generated. */
    configDocuments: z.array(z.record(z.string(), z.unknown())),
    /** Where Slipway keeps its things on the hosts. */
    dataRoot: z.string().regex(/^\/[\w./-]+$/, 'not an absolute path without blanks'),
  })
  .superRefine(({ hosts }, context) => {
    const seen = new Set<string>();
    for (const host of hosts) {
      if (seen.has(host.address)) {
        context.addIssue({ code: 'custom', path: ['hosts'], message: `${host.address} is there twice` });
      }
      seen.add(host.address);
    }
    if (!hosts.some(isMaster)) context.addIssue({ code: 'custom', path: ['hosts'], message: 'no host is a master' });
  });

/** The wanted state of a cluster, wherever it was written down (flags, a Clusterfile, the state of an earlier run). */
export type ClusterSpec = z.infer<typeof clusterSpecSchema>;

/** Settings that nobody has to give. sealer's defaults. */
export const DEFAULTS = {
  clusterName: 'my-cluster',
  registry: { domain: 'sea.hub', port: 5000 },
  dataRoot: '/var/lib/slipway',
  sshUser: 'root',
  sshPort: 22,
} as const;

/**
 * Checks a wanted state.
 * @param what where it was written down, for the error.
 * @throws SlipwayError E_USAGE
 */
export function parseClusterSpec(value: unknown, what: string): ClusterSpec {
  const parsed = clusterSpecSchema.safeParse(value);
  if (!parsed.success) throw new SlipwayError('E_USAGE', `${what}: ${zodProblems(parsed.error, 10)}`);
  return parsed.data;
}

export function isMaster({ roles }: Pick<HostSpec, 'roles'>): boolean {
  return roles.includes(MASTER);
}

/** Masters in the order given; the first is where the cluster begins. */
export function mastersOf({ hosts }: Pick<ClusterSpec, 'hosts'>): readonly HostSpec[] {
  return hosts.filter(isMaster);
}

/** The masters that serve the registry, in the order in which hosts ask them: the first, or all. None serves an external one. */
export function registryMasters(spec: Pick<ClusterSpec, 'hosts' | 'registry'>): readonly HostSpec[] {
  if (spec.registry.external === true) return [];
  const masters = mastersOf(spec);
  return spec.registry.ha === true ? masters : masters.slice(0, 1);
}

/** Everything that is not a master. */
export function workersOf({ hosts }: Pick<ClusterSpec, 'hosts'>): readonly HostSpec[] {
  return hosts.filter((host) => !isMaster(host));
}

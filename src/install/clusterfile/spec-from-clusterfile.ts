import { isDeepStrictEqual } from 'node:util';
import { isSlipwayError } from '../../base/errors.js';
import { suggest } from '../../base/suggest.js';
import { parseReference } from '../../image/reference.js';
import {
  type ClusterSpec,
  type ConfigSpec,
  clusterNameSchema,
  DEFAULTS,
  isConfigProcess,
  isMaster,
  MASTER,
  NODE,
  parseClusterSpec,
} from '../spec/cluster-spec.js';
import { readAddresses, type SshFlags, sshSpec } from '../spec/spec-from-flags.js';
import { thisMachine } from '../spec/this-machine.js';
import { wantedApplications } from './app-configs.js';
import { barredWords } from './choice.js';
import { envLines } from './env-lines.js';
import { readHostAliases } from './host-aliases.js';
import type { Clusterfile } from './read-clusterfile.js';
import { readRegistry } from './registry-from-clusterfile.js';
import type { ConfigDocument, LoginDocument, SecretDocument, SshDocument } from './schema.js';
import { type Resolved, resolvePath, resolveSecret, type ValueSources } from './secret-value.js';
import { defined, type Path } from './values.js';
import { mistakesError } from './yaml-document.js';

/** What was said beside the Clusterfile, and counts more. */
export interface Overrides {
  readonly image?: string | undefined;
  readonly name?: string | undefined;
  /** Beats variables of the cluster and of hosts. */
  readonly env?: Readonly<Record<string, string>>;
  readonly cmds?: readonly string[] | undefined;
  readonly apps?: readonly string[] | undefined;
  /** Takes the place of `spec.ssh`, field by field; what a host says of itself stays. */
  readonly ssh?: SshFlags;
}

/**
 * The wanted state that a Clusterfile describes: addresses read, secrets fetched, defaults filled in.
 * @throws SlipwayError E_CLUSTERFILE that lists every mistake with line and column.
 */
export async function specFromClusterfile(
  clusterfile: Clusterfile,
  overrides: Overrides,
  sources: ValueSources,
  ownAddress: () => string | undefined = thisMachine,
): Promise<ClusterSpec> {
  const { cluster, place, certSANs, configs, plugins, application, runtimeDocuments } = clusterfile;
  const { spec } = cluster;
  const mistakes: string[] = [];
  const wrong = (path: Path, why: string): void =>
    void mistakes.push(`${place(path)}: ${path.map(String).join('.')}: ${why}`);
  const accept = (path: Path, resolved: Resolved): string | undefined => {
    if ('value' in resolved) return resolved.value;
    wrong(path, resolved.mistake);
    return undefined;
  };
  const secret = async (path: Path, given: SecretDocument | undefined): Promise<string | undefined> =>
    given === undefined ? undefined : accept(path, await resolveSecret(given, sources));
  const login = async (path: Path, { user, port, pk, passwd, pkPasswd }: LoginDocument) =>
    defined({
      user,
      port,
      privateKey: pk === undefined ? undefined : resolvePath(pk, sources),
      password: await secret([...path, 'passwd'], passwd),
      passphrase: await secret([...path, 'pkPasswd'], pkPasswd),
    });
  const ssh = async (path: Path, document: SshDocument = {}): Promise<SshFlags> => {
    const { sudoPasswd, knownHosts, bastion } = document;
    return {
      ...(await login(path, document)),
      ...defined({
        sudoPassword: await secret([...path, 'sudoPasswd'], sudoPasswd),
        knownHosts: knownHosts === undefined ? undefined : resolvePath(knownHosts, sources),
        bastion:
          bastion === undefined
            ? undefined
            : {
                host: bastion.host,
                user: DEFAULTS.sshUser,
                port: DEFAULTS.sshPort,
                ...(await login([...path, 'bastion'], bastion)),
              },
      }),
    };
  };
  const env = (path: Path, lines: readonly string[] = []): Record<string, string> =>
    envLines(lines, path, sources, wrong);

  const name = overrides.name ?? cluster.metadata.name;
  const named = clusterNameSchema.safeParse(name);
  if (!named.success) wrong(['metadata', 'name'], named.error.issues[0]?.message ?? 'not a name');
  const image = overrides.image ?? spec.image;
  if (spec.image !== undefined && overrides.image === undefined) checkImage(spec.image, wrong);
  if (image === undefined) wrong(['spec'], 'image is missing: name it here, or on the command line');
  const common = { ...(await ssh(['spec', 'ssh'], spec.ssh)), ...defined(overrides.ssh ?? {}) };
  const clusterEnv = { ...env(['spec', 'env'], spec.env), ...overrides.env };

  const hosts: ClusterSpec['hosts'] = [];
  for (const [index, host] of spec.hosts.entries()) {
    const at = ['spec', 'hosts', index];
    checkRoles(host.roles, [...at, 'roles'], wrong);
    const reached = sshSpec({ ...common, ...(await ssh([...at, 'ssh'], host.ssh)) });
    const hostEnv = { ...env([...at, 'env'], host.env), ...overrides.env };
    for (const [item, text] of host.ips.entries()) {
      const found: string[] = [];
      for (const address of readAddresses(text, ownAddress, found)) {
        const taken = hosts.find((other) => other.address === address);
        if (taken !== undefined) {
          wrong(
            [...at, 'ips', item],
            isDeepStrictEqual(taken.roles, host.roles)
              ? `${address} is there twice`
              : `${address} is a ${isMaster(taken) ? MASTER : NODE} already`,
          );
        } else {
          hosts.push({
            address,
            roles: [...host.roles],
            ssh: reached,
            env: hostEnv,
            labels: { ...host.labels },
            taints: [...(host.taints ?? [])],
          });
        }
      }
      for (const mistake of found) wrong([...at, 'ips', item], mistake);
    }
  }
  if (mistakes.length === 0 && !hosts.some(isMaster)) wrong(['spec', 'hosts'], `no host has the role ${MASTER}`);

  const registry = await readRegistry(spec.registry, accept, wrong, sources);
  const aliases = readHostAliases(spec.hostAliases, registry, wrong);
  const applications =
    application === undefined ? undefined : wantedApplications(application, overrides.env ?? {}, sources, mistakes);
  if (mistakes.length > 0) throw mistakesError(mistakes);

  const { cmds = spec.cmd ?? applications?.cmds, apps = spec.appNames ?? applications?.apps } = overrides;
  return parseClusterSpec(
    {
      name,
      image,
      hosts,
      env: clusterEnv,
      ...defined({
        cmds,
        apps,
        appConfigs: applications?.appConfigs,
        containerRuntime: spec.containerRuntime?.type,
      }),
      registry,
      certSANs: [...certSANs],
      hostAliases: aliases,
      configs: configs.map(configSpec),
      plugins: [...plugins],
      configDocuments: [...runtimeDocuments],
      dataRoot: spec.dataRoot ?? DEFAULTS.dataRoot,
    },
    sources.file,
  );
}

function configSpec({ metadata, spec: { path, data, strategy = 'overwrite', process } }: ConfigDocument): ConfigSpec {
  const steps = barredWords(process ?? '').filter(isConfigProcess);
  return {
    path,
    data,
    strategy,
    ...(steps.length === 0 ? {} : { process: steps }),
    ...(steps.includes('toSecret') ? { name: metadata.name } : {}),
  };
}

function checkImage(image: string, wrong: (path: Path, why: string) => void): void {
  try {
    parseReference(image);
  } catch (error) {
    if (!isSlipwayError(error)) throw error;
    wrong(['spec', 'image'], error.message);
  }
}

/** What others call the two roles. */
const MEANT: ReadonlyMap<string, string> = new Map([
  ['worker', NODE],
  ['agent', NODE],
  ['control-plane', MASTER],
  ['controller', MASTER],
  ['server', MASTER],
]);

function roleHint(roles: readonly string[]): string {
  const meant = roles.flatMap((role) => MEANT.get(role.toLowerCase()) ?? suggest(role, [MASTER, NODE]) ?? []);
  return meant.length === 0 ? '' : `; did you mean ${meant[0]}?`;
}

function checkRoles(roles: readonly string[], path: Path, wrong: (path: Path, why: string) => void): void {
  if (roles.includes(MASTER) && roles.includes(NODE))
    wrong(
      path,
      `a host is a ${MASTER} or a ${NODE}; pods run on masters too when there is no ${NODE}, or without their taint`,
    );
  else if (!roles.includes(MASTER) && !roles.includes(NODE))
    wrong(path, `a host is a ${MASTER} or a ${NODE}; other roles only come beside that${roleHint(roles)}`);
}

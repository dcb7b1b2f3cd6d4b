import * as z from 'zod';
import { SlipwayError } from '../../base/errors.js';
import { goQuotedToJson } from '../../base/go-json.js';
import type { Host } from '../../hosts/host.js';
import type { ClusterDescription } from '../driver.js';
import type { JsonObject } from '../kubernetes/merge.js';
import { listNodes } from './cluster.js';
import { kubectl } from './commands.js';
import { isOwnKey } from './documents.js';
import { k3sAbilities } from './versions.js';

/** One node a line: whether it is a server, and the arguments that k3s says it was started with. */
const TEMPLATE =
  '{{range .items}}{"name":{{printf "%q" .metadata.name}},"args":{{printf "%q" (or (index .metadata.annotations "k3s.io/node-args") "[]")}}}{{"\\n"}}{{end}}';

const lineSchema = z.object({ name: z.string(), args: z.string() });

/**
 * What a cluster of k3s says of itself: every node keeps the arguments of its k3s, flags and files together, without what is secret.
 * Source: k3s, pkg/nodeconfig/nodeconfig.go.
 * @throws SlipwayError E_HOST_COMMAND, E_CLUSTER_STATE
 */
export async function describeCluster(master: Host): Promise<ClusterDescription> {
  const nodes = await listNodes(master);
  const { stdout } = await kubectl(master, '', ['get', 'nodes', '-o', `go-template=${TEMPLATE}`], {
    title: 'asking how k3s was started',
  });
  const started = stdout
    .split('\n')
    .filter((line) => line.trim() !== '')
    .map((line) => startedOf(line, master.address));
  const argsOf = (controlPlane: boolean): string =>
    started.find(
      ({ name, args }) =>
        args !== '[]' && nodes.some((node) => node.name === name && node.controlPlane === controlPlane),
    )?.args ?? '[]';
  const version = nodes.find(({ addresses }) => addresses.includes(master.address))?.version;
  if (version === undefined) throw new SlipwayError('E_CLUSTER_STATE', `${master.address} is no node of the cluster`);
  return describe(
    { server: argsOf(true), agent: argsOf(false) },
    { version, addresses: nodes.flatMap(({ addresses }) => addresses), where: master.address },
  );
}

/** Makes a K3sConfig of the arguments of a server and an agent. What is a host's own, or secret, is left out. Pure. */
export function describe(
  args: { readonly server: string; readonly agent: string },
  {
    version,
    addresses,
    where,
  }: { readonly version: string; readonly addresses: readonly string[]; readonly where: string },
): ClusterDescription {
  k3sAbilities(version);
  const { 'tls-san': sans = [], ...server } = settingsOf(args.server, where);
  const agent = settingsOf(args.agent, where);
  const document: JsonObject = { apiVersion: 'slipway/v1', kind: 'K3sConfig', spec: { server, agent } };
  const names = (Array.isArray(sans) ? sans : [sans]).flatMap((one) => String(one).split(','));
  return {
    version,
    configDocuments: Object.keys(server).length + Object.keys(agent).length === 0 ? [] : [document],
    certSANs: [...new Set(names)].filter((name) => !addresses.includes(name)),
  };
}

/** `["server", "--disable", "traefik", "--selinux"]` as settings; several values of one are a list. */
function settingsOf(text: string, where: string): JsonObject {
  const words = wordsOf(text, where);
  const settings: Record<string, unknown> = {};
  for (const [index, word] of words.entries()) {
    const [, key] = /^--([a-z][a-z0-9-]*)$/.exec(word) ?? [];
    if (key === undefined || isOwnKey(key)) continue;
    const next = words[index + 1];
    const value = next === undefined || next.startsWith('-') ? true : settingOf(next);
    if (value === '********') continue;
    const before = settings[key];
    settings[key] = before === undefined ? value : [...(Array.isArray(before) ? before : [before]), value];
  }
  return settings;
}

/** A line of {@link TEMPLATE}. Pure. @throws SlipwayError E_CLUSTER_STATE */
export function startedOf(line: string, where: string): z.infer<typeof lineSchema> {
  try {
    return lineSchema.parse(JSON.parse(goQuotedToJson(line)));
  } catch (cause) {
    throw new SlipwayError(
      'E_CLUSTER_STATE',
      `${where}: kubectl's list of nodes cannot be read: ${line.slice(0, 200)}`,
      {
        cause,
      },
    );
  }
}

function wordsOf(text: string, where: string): readonly string[] {
  try {
    return z.array(z.string()).parse(JSON.parse(text));
  } catch (cause) {
    throw new SlipwayError('E_CLUSTER_STATE', `${where}: the cluster does not say how its k3s was started`, { cause });
  }
}

function settingOf(text: string): string | boolean {
  return text === 'true' || text === 'false' ? text === 'true' : text;
}

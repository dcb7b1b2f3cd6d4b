import { parseDocument, stringify } from 'yaml';
import * as z from 'zod';
import { SlipwayError } from '../../base/errors.js';
import { zodProblems } from '../../base/zod-error.js';
import type { Host } from '../../hosts/host.js';
import { withServer } from '../kubernetes/kubeconfig.js';
import { PATHS } from './paths.js';

/** The name of ours among those of a kubeconfig. */
const NAME = 'slipway-k0s';

const listSchema = z.array(z.looseObject({ name: z.string() })).nullish();
const kubeconfigSchema = z.looseObject({
  clusters: listSchema,
  users: listSchema,
  contexts: listSchema,
  'current-context': z.string().nullish(),
});
type Kubeconfig = z.infer<typeof kubeconfigSchema>;
const LISTS = ['clusters', 'users', 'contexts'] as const;

/** The administrator's kubeconfig of a master, with the address that others reach it by. */
export async function adminKubeconfig(master: Host): Promise<string> {
  if (!(await master.exists(PATHS.admin))) {
    throw new SlipwayError('E_CLUSTER_STATE', `${master.address}: ${PATHS.admin} is missing`, {
      hint: 'the cluster is not initialised there',
    });
  }
  const file = '/run/slipway/k0s-kubeconfig';
  // Through a file: what commands print is logged, and this is the key to the cluster.
  try {
    await master.run(`umask 077\nmkdir -p /run/slipway\n${PATHS.binary} kubeconfig admin >${file}`, {
      title: 'k0s kubeconfig admin',
      timeoutMs: 60_000,
    });
    const text = (await master.readFile(file))?.toString('utf8') ?? '';
    return withServer(text, master.address, `"k0s kubeconfig admin" on ${master.address}`);
  } finally {
    await master
      .run(`rm -f ${file}\nrmdir /run/slipway 2>/dev/null\ntrue`, {
        allowFailure: true,
        timeoutMs: 30_000,
        title: 'removing the copy of the kubeconfig',
      })
      .catch(() => undefined);
  }
}

/**
 * A kubeconfig with ours in it: under a name of its own beside what is there, and chosen when nothing else is. Pure.
 * @throws SlipwayError E_CLUSTER_STATE when either is none.
 */
export function mergeKubeconfig(existing: string, ours: string): string {
  const own = read(ours, 'the kubeconfig of k0s');
  const base = read(withoutOurs(existing) ?? '', PATHS.rootKubeconfig);
  const [cluster, user] = [own.clusters?.[0], own.users?.[0]];
  return stringify(
    {
      apiVersion: 'v1',
      kind: 'Config',
      ...base,
      clusters: [...(base.clusters ?? []), { ...cluster, name: NAME }],
      users: [...(base.users ?? []), { ...user, name: NAME }],
      contexts: [...(base.contexts ?? []), { name: NAME, context: { cluster: NAME, user: NAME } }],
      'current-context': base['current-context'] || NAME,
    },
    { lineWidth: 0 },
  );
}

/** A kubeconfig without ours; undefined when nothing else is in it. Pure. @throws SlipwayError E_CLUSTER_STATE when it is none. */
export function withoutOurs(text: string): string | undefined {
  const config = read(text, PATHS.rootKubeconfig);
  const rest: Kubeconfig = { ...config };
  for (const list of LISTS) rest[list] = (config[list] ?? []).filter(({ name }) => name !== NAME);
  if (config['current-context'] === NAME) rest['current-context'] = '';
  if (LISTS.every((list) => (rest[list] ?? []).length === 0)) return undefined;
  return LISTS.some((list) => rest[list]?.length !== (config[list] ?? []).length)
    ? stringify(rest, { lineWidth: 0 })
    : text;
}

/** Gives root on a master the administrator's kubeconfig, so that `kubectl` works there; what root had stays. */
export async function writeRootKubeconfig(master: Host, note: (line: string) => void): Promise<void> {
  try {
    const ours = (await master.readFile(PATHS.admin))?.toString('utf8') ?? '';
    const existing = (await master.readFile(PATHS.rootKubeconfig))?.toString('utf8') ?? '';
    const merged = mergeKubeconfig(existing, ours);
    if (merged === existing) return;
    await master.run(`d=$(dirname ${PATHS.rootKubeconfig})\n[ -d "$d" ] || mkdir -m 700 "$d"`, { timeoutMs: 30_000 });
    await master.writeFile(PATHS.rootKubeconfig, merged, { mode: 0o600 });
  } catch (error) {
    if (!(error instanceof SlipwayError)) throw error;
    note(`${PATHS.rootKubeconfig} stays as it is (${error.message}); use KUBECONFIG=${PATHS.admin}`);
  }
}

/** Where root has ours, it is made anew: its certificate may have ended. */
export async function refreshRootKubeconfig(master: Host, note: (line: string) => void): Promise<void> {
  const existing = (await master.readFile(PATHS.rootKubeconfig))?.toString('utf8') ?? '';
  if (existing.includes(NAME)) await writeRootKubeconfig(master, note);
}

/** Takes ours out of root's kubeconfig again; where nothing else is in it, the file goes, and with it what kubectl has kept of clusters. */
export async function removeRootKubeconfig(master: Host): Promise<void> {
  const existing = (await master.readFile(PATHS.rootKubeconfig))?.toString('utf8');
  let rest: string | undefined;
  try {
    rest = existing === undefined ? undefined : withoutOurs(existing);
  } catch (error) {
    if (error instanceof SlipwayError) return;
    throw error;
  }
  if (rest !== undefined) {
    if (rest !== existing) await master.writeFile(PATHS.rootKubeconfig, rest, { mode: 0o600 });
    return;
  }
  await master.run(
    `d=$(dirname ${PATHS.rootKubeconfig})\nrm -rf "$d/cache"\nrm -f ${PATHS.rootKubeconfig}\nrmdir "$d" 2>/dev/null\ntrue`,
    { title: `removing ${PATHS.rootKubeconfig}`, timeoutMs: 30_000 },
  );
}

function read(text: string, what: string): Kubeconfig {
  const document = parseDocument(text);
  const parsed = kubeconfigSchema.safeParse(document.errors.length === 0 ? (document.toJS() ?? {}) : undefined);
  if (parsed.success) return parsed.data;
  throw new SlipwayError('E_CLUSTER_STATE', `${what} is not a kubeconfig: ${zodProblems(parsed.error)}`);
}

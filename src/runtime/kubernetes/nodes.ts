import * as z from 'zod';
import { SlipwayError } from '../../base/errors.js';
import { goQuotedToJson } from '../../base/go-json.js';
import { inFlight } from '../../base/in-flight.js';
import type { Host } from '../../hosts/host.js';
import type { ClusterNode } from '../driver.js';
import type { Kubectl } from './ask.js';

/** On each node: what of its labels and taints was set by Slipway, and so is taken away by it. */
export const MARKS_ANNOTATION = 'slipway.io/marks';

/**
 * One short JSON object a line for each node. The whole objects would not do: a node lists up to 50 images, and a command's output
 * is bounded. `printf "%q"` quotes as Go does, which for these values is JSON.
 */
const TEMPLATE =
  '{{range .items}}{"name":{{printf "%q" .metadata.name}},' +
  '"addresses":[{{range $i, $a := .status.addresses}}{{if $i}},{{end}}{{printf "%q" $a.address}}{{end}}],' +
  '"labels":{ {{range $k, $v := .metadata.labels}}{{printf "%q:%q," $k $v}}{{end}}"":""},' +
  '"taints":[{{range $i, $t := .spec.taints}}{{if $i}},{{end}}{"key":{{printf "%q" $t.key}},' +
  '"value":{{printf "%q" (or $t.value "")}},"effect":{{printf "%q" $t.effect}}}{{end}}],' +
  `"marks":{{printf "%q" (or (index (or .metadata.annotations .metadata.labels) "${MARKS_ANNOTATION}") "")}},` +
  '"conditions":[{{range $i, $c := .status.conditions}}{{if $i}},{{end}}{"type":{{printf "%q" $c.type}},"status":{{printf "%q" $c.status}},' +
  '"reason":{{printf "%q" (or $c.reason "")}},"message":{{printf "%q" (or $c.message "")}}}{{end}}],' +
  '"unschedulable":{{if .spec.unschedulable}}true{{else}}false{{end}},' +
  '"version":{{printf "%q" (or .status.nodeInfo.kubeletVersion "")}}}{{"\\n"}}{{end}}';

const taintSchema = z.object({ key: z.string(), value: z.string(), effect: z.string() });

const lineSchema = z.object({
  name: z.string(),
  addresses: z.array(z.string()),
  labels: z.record(z.string(), z.string()).transform(({ '': _, ...labels }) => labels),
  taints: z.array(taintSchema),
  marks: z.string(),
  conditions: z.array(z.object({ type: z.string(), status: z.string(), reason: z.string(), message: z.string() })),
  unschedulable: z.boolean(),
  version: z.string(),
});

/** A taint of a node. */
export type Taint = z.infer<typeof taintSchema>;

/** What the API server says of a node, as far as anybody here wants to know it. */
export type NodeLine = z.infer<typeof lineSchema>;

/** Labels that mark a control-plane node: kubeadm before and since 1.20; k0s has one of its own besides. */
const CONTROL_PLANE = [
  'node-role.kubernetes.io/master',
  'node-role.kubernetes.io/control-plane',
  'node.k0sproject.io/role',
];

/**
 * Everything about the nodes that the API server of `master` knows. Whoever asks while another one does gets the same answer.
 * @throws SlipwayError E_HOST_COMMAND when it does not answer.
 */
export const askNodes = inFlight(async (master: Host, rootfs: string, ask: Kubectl): Promise<readonly NodeLine[]> => {
  const { stdout } = await ask(master, rootfs, ['get', 'nodes', '-o', `go-template=${TEMPLATE}`], {
    title: 'kubectl get nodes',
  });
  return parseNodeLines(stdout, master.address);
});

/** The nodes of a cluster. @throws SlipwayError as {@link askNodes} */
export async function listNodes(master: Host, rootfs: string, ask: Kubectl): Promise<readonly ClusterNode[]> {
  return (await askNodes(master, rootfs, ask)).map(clusterNode);
}

/** Reads what {@link askNodes} asks for. Pure. @throws SlipwayError E_CLUSTER_STATE */
export function parseNodeLines(text: string, where: string): readonly NodeLine[] {
  return text
    .split('\n')
    .filter((line) => line.trim() !== '')
    .map((line) => parseLine(line, where));
}

/** A node without what only some want to know. Pure. */
export function clusterNode({ name, addresses, labels, conditions, unschedulable, version }: NodeLine): ClusterNode {
  const ready = conditions.find(({ type }) => type === 'Ready');
  return {
    name,
    addresses,
    ready: ready?.status === 'True',
    controlPlane: CONTROL_PLANE.some((label) => Object.hasOwn(labels, label)),
    version,
    condition: describe(ready),
    unschedulable,
  };
}

/**
 * The node of a host: the one that has its address. A host that was installed anew under another name has left a node behind that claims
 * it too, and is not Ready.
 */
export function nodeOf(nodes: readonly ClusterNode[], { address }: Pick<Host, 'address'>): ClusterNode | undefined {
  const claiming = nodes.filter(({ addresses }) => addresses.includes(address));
  return claiming.find(({ ready }) => ready) ?? claiming[0];
}

function describe(
  ready: { readonly status: string; readonly reason: string; readonly message: string } | undefined,
): string {
  if (ready === undefined) return 'kubelet has not reported yet';
  return ready.status === 'True' ? 'Ready' : `${ready.reason}: ${ready.message}`;
}

function parseLine(line: string, where: string): NodeLine {
  let value: unknown;
  try {
    value = JSON.parse(goQuotedToJson(line));
  } catch {
    value = undefined;
  }
  const parsed = lineSchema.safeParse(value);
  if (!parsed.success) {
    throw new SlipwayError(
      'E_CLUSTER_STATE',
      `${where}: kubectl's list of nodes cannot be read: ${line.slice(0, 200)}`,
    );
  }
  return parsed.data;
}

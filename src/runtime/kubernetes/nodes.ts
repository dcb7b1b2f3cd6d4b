import * as z from 'zod';
import { SlipwayError } from '../../base/errors.js';
import { goQuotedToJson } from '../../base/go-json.js';
import { inFlight } from '../../base/in-flight.js';
import type { Host } from '../../hosts/host.js';
import type { ClusterNode } from '../driver.js';
import type { Kubectl } from './ask.js';

/**
 * One short JSON object a line for each node. The whole objects would not do: a node lists up to 50 images, and a command's output
 * is bounded. `printf "%q"` quotes as Go does, which for these values is JSON.
 */
const TEMPLATE =
  '{{range .items}}{"name":{{printf "%q" .metadata.name}},' +
  '"addresses":[{{range $i, $a := .status.addresses}}{{if $i}},{{end}}{{printf "%q" $a.address}}{{end}}],' +
  '"labels":[{{range $k, $v := .metadata.labels}}{{printf "%q" $k}},{{end}}""],' +
  '"conditions":[{{range $i, $c := .status.conditions}}{{if $i}},{{end}}{"type":{{printf "%q" $c.type}},"status":{{printf "%q" $c.status}},' +
  '"reason":{{printf "%q" (or $c.reason "")}},"message":{{printf "%q" (or $c.message "")}}}{{end}}],' +
  '"unschedulable":{{if .spec.unschedulable}}true{{else}}false{{end}},' +
  '"version":{{printf "%q" (or .status.nodeInfo.kubeletVersion "")}}}{{"\\n"}}{{end}}';

const lineSchema = z.object({
  name: z.string(),
  addresses: z.array(z.string()),
  labels: z.array(z.string()),
  conditions: z.array(z.object({ type: z.string(), status: z.string(), reason: z.string(), message: z.string() })),
  unschedulable: z.boolean().default(false),
  version: z.string(),
});

/** Labels that mark a control-plane node: kubeadm before and since 1.20; k0s has one of its own besides. */
const CONTROL_PLANE = [
  'node-role.kubernetes.io/master',
  'node-role.kubernetes.io/control-plane',
  'node.k0sproject.io/role',
];

/**
 * The nodes that the API server of `master` knows.
 * @throws SlipwayError E_HOST_COMMAND when it does not answer.
 */
export const listNodes = inFlight(
  async (master: Host, rootfs: string, ask: Kubectl): Promise<readonly ClusterNode[]> => {
    const { stdout } = await ask(master, rootfs, ['get', 'nodes', '-o', `go-template=${TEMPLATE}`], {
      title: 'kubectl get nodes',
    });
    return parseNodes(stdout, master.address);
  },
);

/** Reads what {@link listNodes} asks for. Pure. @throws SlipwayError E_CLUSTER_STATE */
export function parseNodes(text: string, where: string): readonly ClusterNode[] {
  return text
    .split('\n')
    .filter((line) => line.trim() !== '')
    .map((line) => {
      const { name, addresses, labels, conditions, unschedulable, version } = parseLine(line, where);
      const ready = conditions.find(({ type }) => type === 'Ready');
      return {
        name,
        addresses,
        ready: ready?.status === 'True',
        controlPlane: labels.some((label) => CONTROL_PLANE.includes(label)),
        version,
        condition: describe(ready),
        unschedulable,
      };
    });
}

/** The node of a host: the one that has its address. */
export function nodeOf(nodes: readonly ClusterNode[], { address }: Pick<Host, 'address'>): ClusterNode | undefined {
  return nodes.find(({ addresses }) => addresses.includes(address));
}

function describe(
  ready: { readonly status: string; readonly reason: string; readonly message: string } | undefined,
): string {
  if (ready === undefined) return 'kubelet has not reported yet';
  return ready.status === 'True' ? 'Ready' : `${ready.reason}: ${ready.message}`;
}

function parseLine(line: string, where: string): z.infer<typeof lineSchema> {
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

import * as z from 'zod';
import { SlipwayError } from '../../base/errors.js';
import { goQuotedToJson } from '../../base/go-json.js';
import type { Host } from '../../hosts/host.js';
import type { ClusterContext, DriverStep, NodeMarks } from '../driver.js';
import type { Kubectl } from './ask.js';

/** On each node: what of its labels and taints was set by Slipway, and so is taken away by it. */
const ANNOTATION = 'slipway.io/marks';

/** One JSON object a line for each node, as in nodes.ts. */
const TEMPLATE =
  '{{range .items}}{"name":{{printf "%q" .metadata.name}},' +
  '"addresses":[{{range $i, $a := .status.addresses}}{{if $i}},{{end}}{{printf "%q" $a.address}}{{end}}],' +
  '"labels":{ {{range $k, $v := .metadata.labels}}{{printf "%q:%q," $k $v}}{{end}}"":""},' +
  '"taints":[{{range $i, $t := .spec.taints}}{{if $i}},{{end}}{"key":{{printf "%q" $t.key}},' +
  '"value":{{printf "%q" (or $t.value "")}},"effect":{{printf "%q" $t.effect}}}{{end}}],' +
  `"ours":{{printf "%q" (or (index (or .metadata.annotations .metadata.labels) "${ANNOTATION}") "")}}}{{"\\n"}}{{end}}`;

const taintSchema = z.object({ key: z.string(), value: z.string(), effect: z.string() });
type Taint = z.infer<typeof taintSchema>;

const lineSchema = z.object({
  name: z.string(),
  addresses: z.array(z.string()),
  labels: z.record(z.string(), z.string()),
  taints: z.array(taintSchema),
  ours: z.string(),
});

const oursSchema = z.object({ labels: z.array(z.string()), taints: z.array(z.string()) });

/** What a node has. */
export interface MarkedNode {
  readonly name: string;
  readonly addresses: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
  readonly taints: readonly Taint[];
  /** Names of labels, and `key:Effect` of taints, that were set by us. */
  readonly ours: z.infer<typeof oursSchema>;
}

/** Arguments for `kubectl label`, `kubectl taint` and `kubectl annotate`; nothing to do where there are none. */
export interface MarkChanges {
  readonly labels: readonly string[];
  readonly taints: readonly string[];
  readonly annotations: readonly string[];
}

/** Gives the nodes of hosts (by address) their labels and taints, and takes away those that it gave them earlier and are not wanted any more. */
export function markStep(
  first: Host,
  cluster: ClusterContext,
  marks: ReadonlyMap<string, NodeMarks>,
  ask: Kubectl,
): DriverStep {
  const { rootfs } = cluster;
  const changes = async (): Promise<readonly (readonly [MarkedNode, MarkChanges])[]> => {
    const { stdout } = await ask(first, rootfs, ['get', 'nodes', '-o', `go-template=${TEMPLATE}`], {
      title: 'kubectl get nodes',
    });
    return parseMarkedNodes(stdout, first.address).flatMap((node) => {
      const wanted = node.addresses.map((address) => marks.get(address)).find((one) => one !== undefined);
      const change = wanted === undefined ? undefined : markChanges(node, wanted);
      return change === undefined ? [] : [[node, change] as const];
    });
  };
  return {
    title: 'label and taint the nodes',
    done: async () => (await changes()).length === 0,
    async run(note, signal) {
      for (const [{ name }, { labels, taints, annotations }] of await changes()) {
        note(`${name}: ${[...labels, ...taints].join(' ') || 'nothing of its own any more'}`);
        const set = (verb: string, args: readonly string[]) =>
          args.length === 0
            ? undefined
            : ask(first, rootfs, [verb, 'node', name, '--overwrite', ...args], {
                signal,
                title: `kubectl ${verb}`,
              });
        // What is ours is noted before it is there: killed in between, it is still known as ours.
        await set('annotate', annotations);
        await set('label', labels);
        await set('taint', taints);
      }
    },
  };
}

/** What makes a node's marks the wanted ones; undefined when they are. Pure. */
export function markChanges(node: MarkedNode, { labels, taints }: NodeMarks): MarkChanges | undefined {
  const wanted = taints.map(parseTaint);
  const present = wanted.filter(({ absent }) => !absent);
  const ours = {
    labels: Object.keys(labels).sort(),
    taints: present.map(taintId).sort(),
  };
  const setLabels = Object.entries(labels).filter(([name, value]) => node.labels[name] !== value);
  const goneLabels = node.ours.labels.filter(
    (name) => !Object.hasOwn(labels, name) && Object.hasOwn(node.labels, name),
  );
  const setTaints = present.filter(
    (taint) => !node.taints.some((has) => taintId(has) === taintId(taint) && has.value === taint.value),
  );
  const unwanted = new Set([
    ...wanted.filter(({ absent }) => absent).map(taintId),
    ...node.ours.taints.filter((id) => !ours.taints.includes(id)),
  ]);
  const goneTaints = node.taints.map(taintId).filter((id) => unwanted.has(id));
  const known = JSON.stringify(ours) === JSON.stringify({ labels: node.ours.labels, taints: node.ours.taints });
  if (known && setLabels.length + goneLabels.length + setTaints.length + goneTaints.length === 0) return undefined;
  const none = ours.labels.length + ours.taints.length === 0;
  return {
    labels: [...setLabels.map(([name, value]) => `${name}=${value}`), ...goneLabels.map((name) => `${name}-`)],
    taints: [
      ...setTaints.map(({ key, value, effect }) => `${key}${value === '' ? '' : `=${value}`}:${effect}`),
      ...goneTaints.map((id) => `${id}-`),
    ],
    annotations: known ? [] : [none ? `${ANNOTATION}-` : `${ANNOTATION}=${JSON.stringify(ours)}`],
  };
}

/** Reads what the template prints. Pure. @throws SlipwayError E_CLUSTER_STATE */
export function parseMarkedNodes(text: string, where: string): readonly MarkedNode[] {
  return text
    .split('\n')
    .filter((line) => line.trim() !== '')
    .map((line) => {
      try {
        const { labels, ours, ...node } = lineSchema.parse(JSON.parse(goQuotedToJson(line)));
        const { '': _, ...named } = labels;
        return { ...node, labels: named, ours: parseOurs(ours) };
      } catch (cause) {
        throw new SlipwayError(
          'E_CLUSTER_STATE',
          `${where}: kubectl does not print nodes as expected: ${line.slice(0, 200)}`,
          {
            cause,
          },
        );
      }
    });
}

/** Somebody may have changed the annotation: then nothing is known to be ours. */
function parseOurs(text: string): MarkedNode['ours'] {
  try {
    return oursSchema.parse(JSON.parse(text));
  } catch {
    return { labels: [], taints: [] };
  }
}

function parseTaint(text: string): Taint & { readonly absent: boolean } {
  const absent = text.endsWith('-');
  const [, key = '', value = '', effect = ''] = /^([^=:]+)(?:=([^:]*))?:(\w+)-?$/.exec(text) ?? [];
  return { key, value, effect, absent };
}

function taintId({ key, effect }: Pick<Taint, 'key' | 'effect'>): string {
  return `${key}:${effect}`;
}

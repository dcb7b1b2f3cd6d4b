import * as z from 'zod';
import type { Host } from '../../hosts/host.js';
import type { ClusterContext, DriverStep, NodeMarks } from '../driver.js';
import type { Kubectl } from './ask.js';
import { askNodes, MARKS_ANNOTATION, type NodeLine, type Taint } from './nodes.js';

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
  const nodes = async (): Promise<readonly MarkedNode[]> => (await askNodes(first, rootfs, ask)).map(markedNode);
  return {
    title: 'label and taint the nodes',
    async done() {
      const found = await nodes();
      return changesOf(found, marks).length === 0 && notThere(found, marks).length === 0;
    },
    async run(note, signal) {
      for (const [{ name }, { labels, taints, annotations }] of changesOf(await nodes(), marks)) {
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

/** The nodes whose marks are other ones than wanted. Pure. */
function changesOf(
  nodes: readonly MarkedNode[],
  marks: ReadonlyMap<string, NodeMarks>,
): readonly (readonly [MarkedNode, MarkChanges])[] {
  return nodes.flatMap((node) => {
    const wanted = node.addresses.map((address) => marks.get(address)).find((one) => one !== undefined);
    const change = wanted === undefined ? undefined : markChanges(node, wanted);
    return change === undefined ? [] : [[node, change] as const];
  });
}

/** Hosts that are to have marks and are no nodes yet: they get them when they are. Pure. */
export function notThere(nodes: readonly MarkedNode[], marks: ReadonlyMap<string, NodeMarks>): readonly string[] {
  const has = new Set(nodes.flatMap(({ addresses }) => addresses));
  return [...marks].flatMap(([address, { labels, taints }]) =>
    has.has(address) || Object.keys(labels).length + taints.length === 0 ? [] : [address],
  );
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
    annotations: known ? [] : [none ? `${MARKS_ANNOTATION}-` : `${MARKS_ANNOTATION}=${JSON.stringify(ours)}`],
  };
}

/** What of a node is about its marks. Pure. */
export function markedNode({ name, addresses, labels, taints, marks }: NodeLine): MarkedNode {
  return { name, addresses, labels, taints, ours: parseOurs(marks) };
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

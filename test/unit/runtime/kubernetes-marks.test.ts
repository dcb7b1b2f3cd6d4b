import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { NodeMarks } from '../../../src/runtime/driver.js';
import { type MarkedNode, markChanges, markedNode, notThere } from '../../../src/runtime/kubernetes/marks.js';

const NODE: MarkedNode = {
  name: 'n',
  addresses: ['10.0.0.3'],
  labels: {},
  taints: [],
  ours: { labels: [], taints: [] },
};
const none: NodeMarks = { labels: {}, taints: [] };

describe('labels and taints of a node', () => {
  it('are read from what the API server says of a node', () => {
    const line = {
      name: 'n1',
      addresses: ['10.0.0.3', 'n1'],
      labels: { 'kubernetes.io/os': 'linux', zone: 'a' },
      taints: [{ key: 'node-role.kubernetes.io/master', value: '', effect: 'NoSchedule' }],
      marks: '{"labels":["zone"],"taints":[]}',
      conditions: [],
      unschedulable: false,
      version: 'v1.20.2',
    };
    expect(markedNode(line)).toEqual({
      name: 'n1',
      addresses: ['10.0.0.3', 'n1'],
      labels: line.labels,
      taints: line.taints,
      ours: { labels: ['zone'], taints: [] },
    });
    for (const marks of ['', 'rubbish', '{"labels":1}']) {
      expect(markedNode({ ...line, marks }).ours, marks).toEqual({ labels: [], taints: [] });
    }
  });

  it('are set, and noted as ours', () => {
    expect(markChanges(NODE, { labels: { zone: 'a' }, taints: ['db=x:NoSchedule', 'gpu:NoExecute'] })).toEqual({
      labels: ['zone=a'],
      taints: ['db=x:NoSchedule', 'gpu:NoExecute'],
      annotations: ['slipway.io/marks={"labels":["zone"],"taints":["db:NoSchedule","gpu:NoExecute"]}'],
    });
  });

  it('are missing on hosts that are no nodes yet', () => {
    const marks = new Map<string, NodeMarks>([
      ['10.0.0.3', { labels: { zone: 'a' }, taints: [] }],
      ['10.0.0.4', { labels: { zone: 'a' }, taints: [] }],
      ['10.0.0.5', { labels: {}, taints: ['gpu:NoExecute'] }],
      ['10.0.0.6', none],
    ]);
    expect(notThere([NODE], marks)).toEqual(['10.0.0.4', '10.0.0.5']);
  });

  it('that were given by others stay', () => {
    const labels = { 'kubernetes.io/os': 'linux' };
    const taints = [{ key: 'theirs', value: '', effect: 'NoSchedule' }];
    expect(markChanges({ ...NODE, labels, taints }, none)).toBeUndefined();
  });

  it('that are not wanted any more go, when they were ours', () => {
    const node: MarkedNode = {
      ...NODE,
      labels: { zone: 'a', theirs: 'x' },
      taints: [
        { key: 'db', value: 'x', effect: 'NoSchedule' },
        { key: 'theirs', value: '', effect: 'NoExecute' },
      ],
      ours: { labels: ['gone', 'zone'], taints: ['db:NoSchedule'] },
    };
    expect(markChanges(node, none)).toEqual({
      labels: ['zone-'],
      taints: ['db:NoSchedule-'],
      annotations: ['slipway.io/marks-'],
    });
  });

  it('of others can be taken away by name', () => {
    const node: MarkedNode = {
      ...NODE,
      taints: [{ key: 'node-role.kubernetes.io/master', value: '', effect: 'NoSchedule' }],
    };
    const wanted = { labels: {}, taints: ['node-role.kubernetes.io/master:NoSchedule-'] };
    expect(markChanges(node, wanted)).toEqual({
      labels: [],
      taints: ['node-role.kubernetes.io/master:NoSchedule-'],
      annotations: [],
    });
    expect(markChanges(NODE, wanted)).toBeUndefined();
  });

  it('that changed their values are changed', () => {
    const node: MarkedNode = {
      ...NODE,
      labels: { zone: 'a' },
      taints: [{ key: 'db', value: 'x', effect: 'NoSchedule' }],
      ours: { labels: ['zone'], taints: ['db:NoSchedule'] },
    };
    expect(markChanges(node, { labels: { zone: 'b' }, taints: ['db=y:NoSchedule'] })).toEqual({
      labels: ['zone=b'],
      taints: ['db=y:NoSchedule'],
      annotations: [],
    });
  });

  it('are as wanted once the changes are made, and then nothing more is changed', () => {
    const label = fc.constantFrom('a', 'b', 'c', 'x/d');
    const taint = fc
      .record({ key: label, value: fc.constantFrom('', 'v', 'w'), effect: fc.constantFrom('NoSchedule', 'NoExecute') })
      .map(({ key, value, effect }) => `${key}${value === '' ? '' : `=${value}`}:${effect}`);
    const marks = fc.record({
      labels: fc.dictionary(label, fc.constantFrom('1', '2')),
      taints: fc.uniqueArray(taint, { selector: (text) => text.replace(/=[^:]*/, '') }),
    });
    fc.assert(
      fc.property(fc.array(marks, { minLength: 1, maxLength: 4 }), (steps) => {
        let node: MarkedNode = { ...NODE, labels: { os: 'linux' } };
        for (const wanted of steps) {
          node = applied(node, markChanges(node, wanted));
          expect(node.labels).toEqual({ os: 'linux', ...wanted.labels });
          expect(
            new Set(node.taints.map(({ key, value, effect }) => `${key}${value && `=${value}`}:${effect}`)),
          ).toEqual(new Set(wanted.taints));
          expect(markChanges(node, wanted)).toBeUndefined();
        }
      }),
    );
  });
});

/** What kubectl makes of a node. */
function applied(node: MarkedNode, changes: ReturnType<typeof markChanges>): MarkedNode {
  if (changes === undefined) return node;
  const labels = { ...node.labels };
  for (const change of changes.labels) {
    const [name = '', value = ''] = change.split('=');
    if (change.endsWith('-')) delete labels[change.slice(0, -1)];
    else labels[name] = value;
  }
  const taints = new Map(node.taints.map((taint) => [`${taint.key}:${taint.effect}`, taint]));
  for (const change of changes.taints) {
    const [, key = '', value = '', effect = ''] = /^([^=:]+)(?:=([^:]*))?:(\w+)-?$/.exec(change) ?? [];
    if (change.endsWith('-')) taints.delete(`${key}:${effect}`);
    else taints.set(`${key}:${effect}`, { key, value, effect });
  }
  const [note] = changes.annotations;
  const ours =
    note === undefined
      ? node.ours
      : note.endsWith('-')
        ? { labels: [], taints: [] }
        : (JSON.parse(note.slice(note.indexOf('=') + 1)) as MarkedNode['ours']);
  return { ...node, labels, taints: [...taints.values()], ours };
}

import { describe, expect, it } from 'vitest';
import { memberNode } from '../../../src/runtime/k3s/etcd.js';
import { removeStep } from '../../../src/runtime/k3s/remove.js';
import { type StubHost, stubHost } from '../../support/stub-host.js';

const node = (name: string, address: string, ready: boolean): string =>
  JSON.stringify({
    name,
    addresses: [address],
    labels: { 'node-role.kubernetes.io/control-plane': 'true' },
    taints: [],
    marks: '',
    conditions: [{ type: 'Ready', status: ready ? 'True' : 'Unknown', reason: '', message: '' }],
    unschedulable: false,
    version: 'v1.30.4+k3s1',
  });

const NODES = 'kubectl get nodes';
const LOOK = 'looking for k3s on the host';
const MEMBERS = 'looking for the members of etcd';
const STOP = 'stopping k3s, which has left the cluster';

const context = (...masters: readonly StubHost[]) =>
  ({ name: 'c', version: 'v1.30.4+k3s1', masters, workers: [] }) as never;
const options = (ours: boolean) => ({ drainTimeoutMs: 0, ours });

it.each([
  ['up', true, true, [STOP]],
  // it runs all the same, and would join again
  ['not Ready', false, true, [STOP]],
  // Nobody waits for a host that is gone, and what runs on somebody else's is not ours to stop.
  ['gone', false, false, []],
])(
  'k3s of a host that leaves (%s) is stopped when its node is gone, lest it come again',
  async (_is, ready, ours, asked) => {
    const order: string[] = [];
    const entry = stubHost('10.0.0.2', (title) => {
      order.push(title);
      return title === NODES
        ? { stdout: `${node('m1', '10.0.0.2', true)}\n${node('m2', '10.0.0.3', ready)}\n` }
        : undefined;
    });
    const host = stubHost('10.0.0.3', (title) => {
      order.push(title);
      return undefined;
    });
    await removeStep(host, context(entry, host), options(ours)).run(() => {});
    expect(host.asked).toEqual(asked);
    if (ours) expect(order.indexOf('deleting node m2')).toBeLessThan(order.indexOf(asked[0] ?? ''));
  },
);

describe('a removal', () => {
  const entry = () =>
    stubHost('10.0.0.2', (title) => (title === NODES ? { stdout: node('m1', '10.0.0.2', true) } : undefined));

  it('that was killed before k3s was stopped is not done', async () => {
    let active = 'active server\n';
    const host = stubHost('10.0.0.3', (title) => {
      if (title === STOP) active = '';
      return title === LOOK ? { stdout: active } : undefined;
    });
    const step = removeStep(host, context(entry(), host), options(true));
    expect(await step.done()).toBe(false);
    await step.run(() => {});
    expect(await step.done()).toBe(true);
  });

  it('is done when the cluster knows nothing more of a host that does not answer', async () => {
    const host = stubHost('10.0.0.3', () => undefined);
    expect(await removeStep(host, context(entry(), host), options(false)).done()).toBe(true);
    expect(host.asked).toEqual([]);
  });

  it('takes a member out that was added and never came', async () => {
    const applied: string[] = [];
    let members =
      '[{"id":1,"name":"m1-1","peerURLs":["https://10.0.0.2:2380"]},{"id":2,"peerURLs":["https://10.0.0.3:2380"],"isLearner":true}]';
    const first = stubHost('10.0.0.2', (title) => {
      if (title === NODES) return { stdout: node('m1', '10.0.0.2', true) };
      if (title === LOOK) return { stdout: 'etcd\n' };
      if (title === MEMBERS) return { stdout: members };
      if (title.startsWith('naming the member')) applied.push(title);
      if (title === 'deleting node member-10-0-0-3')
        members = '[{"id":1,"name":"m1-1","peerURLs":["https://10.0.0.2:2380"]}]';
      return undefined;
    });
    const host = stubHost('10.0.0.3', () => undefined);
    await removeStep(host, context(first, host), options(false)).run(() => {});
    expect(applied).toEqual(['naming the member at 10.0.0.3']);
    expect(JSON.parse(memberNode('', '10.0.0.3')).metadata).toMatchObject({
      name: 'member-10-0-0-3',
      annotations: { 'etcd.k3s.cattle.io/node-name': '', 'etcd.k3s.cattle.io/node-address': '10.0.0.3' },
    });
  });
});

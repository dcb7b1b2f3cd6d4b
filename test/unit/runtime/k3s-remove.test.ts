import { expect, it } from 'vitest';
import { removeStep } from '../../../src/runtime/k3s/remove.js';
import { stubHost } from '../../support/stub-host.js';

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

it.each([
  [true, ['stopping k3s, which has left the cluster']],
  // Nobody waits for a host that is gone.
  [false, []],
])('k3s of a host that leaves (up: %s) is stopped when its node is gone, lest it come again', async (up, asked) => {
  const order: string[] = [];
  const entry = stubHost('10.0.0.2', (title) => {
    order.push(title);
    return title === 'kubectl get nodes'
      ? { stdout: `${node('m1', '10.0.0.2', true)}\n${node('m2', '10.0.0.3', up)}\n` }
      : undefined;
  });
  const host = stubHost('10.0.0.3', (title) => {
    order.push(title);
    return undefined;
  });
  const cluster = { name: 'c', version: 'v1.30.4+k3s1', masters: [entry, host], workers: [] } as never;
  await removeStep(host, cluster, { drainTimeoutMs: 0 }).run(() => {});
  expect(host.asked).toEqual(asked);
  if (up) expect(order.indexOf('deleting node m2')).toBeLessThan(order.indexOf(asked[0] ?? ''));
});

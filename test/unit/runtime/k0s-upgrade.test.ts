import { expect, it } from 'vitest';
import { upgradeStep } from '../../../src/runtime/k0s/upgrade.js';
import { stubHost } from '../../support/stub-host.js';

const NODE = JSON.stringify({
  name: 'm1',
  addresses: ['10.0.0.2'],
  labels: {},
  taints: [],
  marks: '',
  conditions: [],
  unschedulable: false,
  version: 'v1.31.14+k0s',
});

it('an upgrade that fails while k0s is stopped starts it again: it may be the only master', async () => {
  const host = stubHost('10.0.0.2', (title) => {
    if (title === 'kubectl get nodes') return { stdout: `${NODE}\n` };
    return title === 'k0s status' ? { code: 1 } : undefined;
  });
  const cluster = { name: 'boat', rootfs: '/r', version: 'v1.32.13+k0s.0', masters: [host], workers: [] } as never;
  const step = upgradeStep(host, cluster, {
    from: 'v1.31.14+k0s.0',
    drainTimeoutMs: 0,
    readyTimeoutMs: 1,
    setUp: async () => {
      throw new Error('no space left on device');
    },
  });
  await expect(step.run(() => {})).rejects.toThrow('no space left on device');
  expect(host.asked.slice(-2)).toEqual(['k0s stop', 'k0s start']);
});

import { describe, expect, it } from 'vitest';
import type { ClusterNode } from '../../../src/runtime/driver.js';
import { isReadyNode } from '../../../src/runtime/kubernetes/masters.js';

const master = { address: '10.0.0.2' };
const node = (address: string): ClusterNode => ({
  name: 'm1',
  addresses: [address],
  ready: true,
  controlPlane: true,
  version: 'v1.30.4',
  condition: 'Ready',
  unschedulable: false,
});
const broken = () => Promise.reject(new Error('refused'));

describe('a master', () => {
  it.each([
    ['is ready and known', true, master.address, true],
    ['is ready and not known', true, '10.0.0.3', false],
    ['is known and not ready', false, master.address, false],
  ])('%s', async (_, ready, known, whole) => {
    expect(await isReadyNode(master, { ready: async () => ready, nodes: async () => [node(known)] })).toBe(whole);
  });

  it('is not asked for its nodes when it is not ready, and fails when it is and does not say', async () => {
    expect(await isReadyNode(master, { ready: async () => false, nodes: broken })).toBe(false);
    await expect(isReadyNode(master, { ready: async () => true, nodes: broken })).rejects.toThrow('refused');
  });
});

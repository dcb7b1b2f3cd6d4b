import { expect, it } from 'vitest';
import { chooseClusterRuntime } from '../../../src/runtime/choose.js';

it('chooses kubeadm for k8s, and for images that do not say', () => {
  expect(chooseClusterRuntime({ ClusterRuntime: 'k8s' }).name).toBe('k8s');
  expect(chooseClusterRuntime({}).name).toBe('k8s');
});

it.each(['k0s', 'k3s'] as const)('says that %s cannot be installed', (ClusterRuntime) => {
  expect(() => chooseClusterRuntime({ ClusterRuntime })).toThrow(new RegExp(`ClusterRuntime is ${ClusterRuntime}`));
});

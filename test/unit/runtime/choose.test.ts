import { expect, it } from 'vitest';
import { anyRuntime, chooseClusterRuntime } from '../../../src/runtime/choose.js';

it('chooses by what Metadata says, kubeadm when it says nothing', async () => {
  expect((await chooseClusterRuntime({ ClusterRuntime: 'k8s' })).name).toBe('k8s');
  expect((await chooseClusterRuntime({ ClusterRuntime: 'k3s' })).name).toBe('k3s');
  expect((await chooseClusterRuntime({ ClusterRuntime: 'k0s' })).name).toBe('k0s');
  expect((await chooseClusterRuntime({})).name).toBe('k8s');
});

it('takes any of them off a host of which nothing is known', async () => {
  const asked: string[] = [];
  const host = {
    address: '10.0.0.1',
    run: async (_script: string, { title = '' }: { title?: string } = {}) => {
      asked.push(title);
      return { code: 0, stdout: '', stderr: '' };
    },
    readFile: async () => undefined,
  } as never;
  const { reset } = await anyRuntime();
  expect(await reset(host, '/r').done()).toBe(true);
  expect(asked).toEqual(
    expect.arrayContaining([
      'looking for remains of Kubernetes',
      'looking for remains of k3s',
      'looking for remains of k0s',
    ]),
  );
});

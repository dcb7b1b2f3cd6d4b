import { expect, it } from 'vitest';
import { ignoredChange, wantedNames } from '../../../src/runtime/kubeadm/changed-documents.js';

const configuration = (fields: object): Record<string, unknown> => ({
  apiVersion: 'kubeadm.k8s.io/v1beta2',
  kind: 'ClusterConfiguration',
  ...fields,
});

it('knows the names that certificates should have', () => {
  const cluster = {
    certSANs: ['10.0.0.9'],
    configDocuments: [
      configuration({ apiServer: { certSANs: ['api.example.com', '10.0.0.9'] } }),
      configuration({ apiServer: { certSANs: ['b'] } }),
    ],
  } as unknown as Parameters<typeof wantedNames>[0];
  expect(wantedNames(cluster)).toEqual(['10.0.0.9', 'api.example.com', 'b']);
  expect(wantedNames({ ...cluster, configDocuments: [] })).toEqual(['10.0.0.9']);
});

it('says what a cluster that is up does not take over, in whatever version of the API it is written', () => {
  const before = [configuration({ apiServer: { extraArgs: { v: '2' }, certSANs: ['a'] } })];
  const same = [
    {
      apiVersion: 'kubeadm.k8s.io/v1beta4',
      kind: 'ClusterConfiguration',
      apiServer: { extraArgs: [{ name: 'v', value: '2' }], certSANs: ['a', 'b'] },
    },
    { kind: 'JoinConfiguration', nodeRegistration: { ignorePreflightErrors: ['Swap'] } },
  ];
  expect(ignoredChange(before, same)).toBeUndefined();
  expect(ignoredChange([], [configuration({ apiServer: { certSANs: ['b'] } })])).toBeUndefined();
  const other = [configuration({ apiServer: { extraArgs: { v: '4' } } })];
  expect(ignoredChange(before, other)).toMatch(
    /^ClusterConfiguration \(apiServer\): changed, and kubeadm reads it only/,
  );
  const more = [...before, { kind: 'KubeletConfiguration', maxPods: 10 }];
  expect(ignoredChange(before, more)).toMatch(/^KubeletConfiguration \(maxPods\): changed/);
  expect(ignoredChange(more, [])).toMatch(
    /^ClusterConfiguration \(apiServer\) and KubeletConfiguration \(maxPods\): changed, and kubeadm reads them/,
  );
});

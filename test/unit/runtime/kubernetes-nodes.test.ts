import { expect, it } from 'vitest';
import { nodeOf, parseNodes } from '../../../src/runtime/kubernetes/nodes.js';

const LINES = `{"name":"m1","addresses":["10.99.0.2","m1"],"labels":["kubernetes.io/os","node-role.kubernetes.io/master",""],"conditions":[{"type":"MemoryPressure","status":"False","reason":"x","message":"y"},{"type":"Ready","status":"True","reason":"KubeletReady","message":"ok"}],"unschedulable":true,"version":"v1.20.2"}
{"name":"n1","addresses":["10.99.0.3","n1"],"labels":[""],"conditions":[{"type":"Ready","status":"False","reason":"KubeletNotReady","message":"cni plugin \\"not\\" initialized"}],"version":"v1.20.2"}
{"name":"n2","addresses":[],"labels":[""],"conditions":[],"version":""}
`;

it('reads what kubectl prints for the nodes', () => {
  expect(parseNodes(LINES, '10.99.0.2')).toEqual([
    {
      name: 'm1',
      addresses: ['10.99.0.2', 'm1'],
      ready: true,
      controlPlane: true,
      version: 'v1.20.2',
      condition: 'Ready',
      unschedulable: true,
    },
    {
      name: 'n1',
      addresses: ['10.99.0.3', 'n1'],
      ready: false,
      controlPlane: false,
      version: 'v1.20.2',
      condition: 'KubeletNotReady: cni plugin "not" initialized',
      unschedulable: false,
    },
    {
      name: 'n2',
      addresses: [],
      ready: false,
      controlPlane: false,
      version: '',
      condition: 'kubelet has not reported yet',
      unschedulable: false,
    },
  ]);
});

it('finds the node of a host by address, not by name', () => {
  const nodes = parseNodes(LINES, 'here');
  expect(nodeOf(nodes, { address: '10.99.0.3' })?.name).toBe('n1');
  expect(nodeOf(nodes, { address: '10.99.0.33' })).toBeUndefined();
});

it('says where the nonsense came from', () => {
  expect(() => parseNodes('No resources found\n', '10.99.0.2')).toThrow(/10\.99\.0\.2: kubectl's list of nodes/);
});

import { expect, it } from 'vitest';
import type { ClusterNode } from '../../../src/runtime/driver.js';
import { clusterNode, nodeOf, parseNodeLines } from '../../../src/runtime/kubernetes/nodes.js';

const LINES = `{"name":"m1","addresses":["10.99.0.2","m1"],"labels":{ "kubernetes.io/os":"linux","node-role.kubernetes.io/master":"","":""},"taints":[{"key":"node-role.kubernetes.io/master","value":"","effect":"NoSchedule"}],"marks":"{\\"labels\\":[],\\"taints\\":[]}","conditions":[{"type":"MemoryPressure","status":"False","reason":"x","message":"y"},{"type":"Ready","status":"True","reason":"KubeletReady","message":"ok"}],"unschedulable":true,"version":"v1.20.2"}
{"name":"n1","addresses":["10.99.0.3","n1"],"labels":{ "":""},"taints":[],"marks":"","conditions":[{"type":"Ready","status":"False","reason":"KubeletNotReady","message":"cni plugin \\"not\\" initialized"}],"unschedulable":false,"version":"v1.20.2"}
{"name":"n2","addresses":[],"labels":{ "":""},"taints":[],"marks":"","conditions":[],"unschedulable":false,"version":""}
`;

const parseNodes = (text: string, where: string) => parseNodeLines(text, where).map(clusterNode);

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

it('reads what marks a node, without what ends the list', () => {
  const [node] = parseNodeLines(LINES, 'here');
  expect(node?.labels).toEqual({ 'kubernetes.io/os': 'linux', 'node-role.kubernetes.io/master': '' });
  expect(node).toMatchObject({
    taints: [{ key: 'node-role.kubernetes.io/master', value: '', effect: 'NoSchedule' }],
    marks: '{"labels":[],"taints":[]}',
  });
});

it('finds the node of a host by address, not by name', () => {
  const nodes = parseNodes(LINES, 'here');
  expect(nodeOf(nodes, { address: '10.99.0.3' })?.name).toBe('n1');
  expect(nodeOf(nodes, { address: '10.99.0.33' })).toBeUndefined();
});

it('takes the one of two that lives, when a host has come back under another name', () => {
  const old = { ...(parseNodes(LINES, 'here')[1] as ClusterNode), name: 'old-name' };
  const now = { ...old, name: 'new-name', ready: true };
  expect(nodeOf([old, now], { address: '10.99.0.3' })?.name).toBe('new-name');
  expect(nodeOf([old, { ...now, ready: false }], { address: '10.99.0.3' })?.name).toBe('old-name');
});

it('says where the nonsense came from', () => {
  expect(() => parseNodes('No resources found\n', '10.99.0.2')).toThrow(/10\.99\.0\.2: kubectl's list of nodes/);
});

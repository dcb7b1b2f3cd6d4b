import { describe, expect, it } from 'vitest';
import { isSlipwayError } from '../../../../src/base/errors.js';
import { hostsOfNodes, stateFromCopy, stateFromFindings } from '../../../../src/install/adopt/adopted-state.js';
import { commonOwner, runtimeOf } from '../../../../src/install/adopt/look.js';
import type { HostSpec } from '../../../../src/install/spec/cluster-spec.js';
import { assertOurs } from '../../../../src/install/state/assert-ours.js';
import type { ClusterState } from '../../../../src/install/state/cluster-state.js';
import { specFromState } from '../../../../src/install/state/spec-from-state.js';
import type { ClusterNode } from '../../../../src/runtime/driver.js';

const slipwayError = (...codes: Parameters<typeof isSlipwayError>[1][]) =>
  expect.toSatisfy((error) => isSlipwayError(error, ...codes)) as Error;
const edge = { cluster: 'edge', id: 'id-of-edge' };
const dock = { cluster: 'dock', id: 'id-of-dock' };
const host = (address: string, role: string): HostSpec => ({
  address,
  roles: [role],
  ssh: { user: 'admin', port: 22, password: 'secret of the login' },
  env: {},
});
const node = (name: string, address: string, controlPlane = false): ClusterNode => ({
  name,
  addresses: [address, name],
  ready: true,
  controlPlane,
  version: 'v1.20.2',
  condition: 'Ready',
  unschedulable: false,
});
const nodes = [node('m1', '10.0.0.2', true), node('n1', '10.0.0.4'), node('m2', '10.0.0.3', true)];

const findings = {
  name: 'edge',
  owner: edge,
  image: { name: 'k8s:v1', digest: 'sha256:x' },
  runtime: 'k8s',
  description: {
    version: 'v1.20.2',
    configDocuments: [{ apiVersion: 'kubeadm.k8s.io/v1beta2', kind: 'ClusterConfiguration' }],
    certSANs: ['api.example.com'],
  },
  nodes,
  hosts: hostsOfNodes([host('10.0.0.2', 'master')], nodes),
  facts: new Map([['10.0.0.2', { hostname: 'first', machineId: 'one' }]]),
  registry: { domain: 'sea.hub', port: 5000, address: '10.0.0.2' },
  dataRoot: '/var/lib/slipway',
  notKept: [],
};
const NOW = '2026-05-01T12:00:00.000Z';

describe('hosts that say whose they are', () => {
  const owners = (...list: readonly (readonly (typeof edge)[])[]) =>
    list.map((each, index) => ({ address: `10.0.0.${index + 2}`, owners: each }));

  it('are of one cluster, of nobody’s, or it must be said which', () => {
    expect(commonOwner(owners([edge], [edge]), undefined)).toEqual(edge);
    expect(commonOwner(owners([edge], [edge]), 'edge')).toEqual(edge);
    expect(commonOwner(owners([], []), 'any')).toBeUndefined();
    expect(commonOwner(owners([edge, dock], [edge]), 'edge')).toEqual(edge);
    expect(() => commonOwner(owners([edge, dock]), undefined)).toThrow(slipwayError('E_USAGE'));
    expect(() => commonOwner(owners([edge], [edge]), 'other')).toThrow(slipwayError('E_CLUSTER_STATE'));
    expect(() => commonOwner(owners([edge], []), undefined)).toThrow(slipwayError('E_CLUSTER_STATE'));
    expect(() => commonOwner(owners([edge], [dock]), 'edge')).toThrow(slipwayError('E_CLUSTER_STATE'));
  });

  it('show by what is left on them what runs there', () => {
    expect(runtimeOf({ kubernetes: ['/etc/kubernetes/admin.conf', '/var/lib/etcd/member'] })).toBe('k8s');
    expect(runtimeOf({ kubernetes: ['/var/lib/rancher/k3s/server'] })).toBe('k3s');
    expect(runtimeOf({ kubernetes: ['/etc/k0s/k0s.yaml'] })).toBe('k0s');
    expect(runtimeOf({ kubernetes: [] })).toBeUndefined();
  });
});

describe('the hosts of a cluster that was asked', () => {
  it('are those given and its other nodes, masters first, reached in the same way', () => {
    const found = hostsOfNodes([host('10.0.0.2', 'master')], nodes);
    expect(found.map(({ address, roles }) => `${address} ${roles.join()}`)).toEqual([
      '10.0.0.2 master',
      '10.0.0.3 master',
      '10.0.0.4 node',
    ]);
    expect(found[2]?.ssh).toEqual(host('10.0.0.2', 'master').ssh);
  });

  it('are its nodes, in the roles that they have', () => {
    for (const given of [[host('10.0.0.9', 'master')], [host('10.0.0.4', 'master')], [host('10.0.0.2', 'node')]])
      expect(() => hostsOfNodes(given, nodes)).toThrow(slipwayError('E_USAGE'));
  });
});

describe('a state that is put together', () => {
  it('has what hosts and cluster say, and no password', () => {
    const state = stateFromFindings(findings, NOW);
    expect(state).toMatchObject({
      id: edge.id,
      name: 'edge',
      phase: 'running',
      version: 'v1.20.2',
      certSANs: ['api.example.com'],
    });
    expect(state.foreign).toBeUndefined();
    expect(state.hosts.map(({ address, hostname, index }) => `${address} ${hostname} ${index}`)).toEqual([
      '10.0.0.2 first 0',
      '10.0.0.3 m2 1',
      '10.0.0.4 n1 2',
    ]);
    expect(JSON.stringify(state)).not.toContain('secret of the login');
    expect(specFromState(state, { ssh: {}, env: {} }).hosts).toHaveLength(3);
    expect(() => assertOurs(state)).not.toThrow();
  });

  it('of a cluster that others made installs nothing', () => {
    const state = stateFromFindings({ ...findings, owner: undefined }, NOW);
    expect(state.foreign).toBe(true);
    expect(state.id).not.toBe(stateFromFindings({ ...findings, owner: undefined }, NOW).id);
    expect(() => assertOurs(state)).toThrow(slipwayError('E_UNSUPPORTED'));
  });
});

describe('a state that a master has kept', () => {
  const copy: ClusterState = {
    ...stateFromFindings(findings, NOW),
    hosts: stateFromFindings(findings, NOW).hosts.map((one) => ({
      ...one,
      ssh: { user: 'root', port: 2222, privateKey: '/old/key', bastion: { host: 'evil', user: 'root', port: 22 } },
    })),
  };

  it('is used with the login of whoever asks, and through no machine that only the host knows', () => {
    const state = stateFromCopy(copy, [host('10.0.0.2', 'master')], { privateKey: '/new/key' });
    expect(state.hosts.map(({ ssh }) => ssh)).toEqual(
      Array.from({ length: 3 }, () => ({ user: 'root', port: 2222, privateKey: '/new/key' })),
    );
    expect({ ...state, hosts: [] }).toEqual({ ...copy, hosts: [] });
  });

  it('has the hosts that are given, in their roles', () => {
    expect(() => stateFromCopy(copy, [host('10.0.0.9', 'node')], {})).toThrow(slipwayError('E_USAGE'));
    expect(() => stateFromCopy(copy, [host('10.0.0.2', 'node')], {})).toThrow(slipwayError('E_USAGE'));
  });
});

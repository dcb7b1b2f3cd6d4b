import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { isSlipwayError } from '../../../src/base/errors.js';
import {
  type K0sFacts,
  k0sConfig,
  k0sConfigText,
  networksOf,
  severalMastersProblem,
} from '../../../src/runtime/k0s/config.js';

/** What `k0s config create` of v1.31 prints on a host with two addresses, shortened. */
const DEFAULTS = `apiVersion: k0s.k0sproject.io/v1beta1
kind: ClusterConfig
metadata:
  name: k0s
spec:
  api:
    address: 192.168.7.1
    k0sApiPort: 9443
    port: 6443
    sans:
    - 192.168.7.1
    - 10.99.0.2
  extensions:
    helm:
      concurrencyLevel: 5
  network:
    clusterDomain: cluster.local
    nodeLocalLoadBalancing:
      enabled: false
      type: EnvoyProxy
    podCIDR: 10.244.0.0/16
    provider: kuberouter
    serviceCIDR: 10.96.0.0/12
  storage:
    etcd:
      peerAddress: 192.168.7.1
    type: etcd
  telemetry:
    enabled: true
`;

const facts = (over: Partial<K0sFacts> = {}): K0sFacts => ({
  version: 'v1.31.14+k0s.0',
  masters: ['10.99.0.2', '10.99.0.3'],
  certSANs: ['k8s.example.com'],
  documents: [],
  ...over,
});

const document = (spec: Record<string, unknown>, metadata: Record<string, unknown> = {}) => ({
  apiVersion: 'k0s.k0sproject.io/v1beta1',
  kind: 'ClusterConfig',
  metadata,
  spec,
});

// biome-ignore lint/suspicious/noExplicitAny: documents of k0s have many forms
const made = (over: Partial<K0sFacts> = {}, address = '10.99.0.2'): any =>
  parse(k0sConfigText(DEFAULTS, facts(over), address));

describe('the ClusterConfig of a controller', () => {
  it('has the addresses of its host, and all masters and names in the certificate, each once', () => {
    const { spec } = made({ certSANs: ['k8s.example.com', '10.99.0.3'] }, '10.99.0.3');
    expect(spec.api.address).toBe('10.99.0.3');
    expect(spec.storage.etcd.peerAddress).toBe('10.99.0.3');
    expect(spec.api.sans).toEqual(['192.168.7.1', '10.99.0.2', '10.99.0.3', 'k8s.example.com']);
    expect(spec.extensions).toEqual({ helm: { concurrencyLevel: 5 } });
  });

  it('merges the documents over it; names of certificates are the union', () => {
    const config = made({
      documents: [
        document({ api: { sans: ['image.example.com'], extraArgs: { v: '4' } }, network: { provider: 'calico' } }),
        { kind: 'ClusterConfiguration', apiVersion: 'kubeadm.k8s.io/v1beta3', spec: { somebody: 'else' } },
        document(
          { api: { sans: ['user.example.com', 'k8s.example.com'] }, telemetry: { enabled: true } },
          { name: 'mine' },
        ),
      ],
    });
    expect(config.spec.api.sans).toEqual([
      '192.168.7.1',
      '10.99.0.2',
      '10.99.0.3',
      'k8s.example.com',
      'image.example.com',
      'user.example.com',
    ]);
    expect(config.spec.api.extraArgs).toEqual({ v: '4' });
    expect(config.spec.network).toMatchObject({ provider: 'calico', podCIDR: '100.64.0.0/10' });
    expect(config.spec.telemetry.enabled).toBe(true);
    expect(config.spec.somebody).toBeUndefined();
    // k0s knows its configuration by this name alone
    expect(config.metadata).toEqual({ name: 'k0s' });
  });

  it('is never one with the address of another host, whatever a document says', () => {
    const { spec } = made({
      documents: [document({ api: { address: '1.2.3.4' }, storage: { etcd: { peerAddress: '1.2.3.4' } } })],
    });
    expect([spec.api.address, spec.storage.etcd.peerAddress]).toEqual(['10.99.0.2', '10.99.0.2']);
  });

  it('sends nothing to anybody unless it is asked to', () => {
    expect(made().spec.telemetry.enabled).toBe(false);
  });

  it('lets null take a default away', () => {
    expect(made({ documents: [document({ extensions: null })] }).spec.extensions).toBeUndefined();
  });

  it('gives etcd no address of its own when the state is elsewhere', () => {
    const kine = { type: 'kine', kine: { dataSource: 'postgres://db/k0s' } };
    expect(k0sConfig({}, facts({ documents: [document({ storage: kine })] }), '10.99.0.2').spec).toMatchObject({
      storage: kine,
    });
    const external = { etcd: { externalCluster: { endpoints: ['https://e:2379'] } } };
    expect(made({ documents: [document({ storage: external })] }).spec.storage.etcd.peerAddress).toBe('192.168.7.1');
  });

  it.each(['', 'a: [', '- a list', 'text'])('refuses defaults that are none: %j', (text) => {
    try {
      k0sConfigText(text, facts(), '10.99.0.2');
      expect.unreachable();
    } catch (error) {
      expect(isSlipwayError(error, 'E_CLUSTER_STATE')).toBe(true);
    }
  });
});

describe('the way of workers to all masters', () => {
  it('is the node-local balancer where k0s has it', () => {
    expect(made().spec.network.nodeLocalLoadBalancing).toEqual({ enabled: true, type: 'EnvoyProxy' });
    expect(made({ version: 'v1.28.15+k0s.0' }).spec.network.nodeLocalLoadBalancing.enabled).toBe(false);
  });

  it('is a balancer of the user where one is named: k0s refuses both', () => {
    const { spec } = made({ documents: [document({ api: { externalAddress: 'lb.example.com:6443' } })] });
    expect(spec.network.nodeLocalLoadBalancing.enabled).toBe(false);
    expect(spec.api.sans).toContain('lb.example.com');
  });

  it.each([
    ['v1.31.14+k0s.0', [], undefined],
    ['v1.28.15+k0s.0', [], /cannot lead workers to several masters/],
    ['v1.28.15+k0s.0', [document({ api: { externalAddress: '10.99.0.9' } })], undefined],
    ['v1.28.15+k0s.0', [document({ network: { nodeLocalLoadBalancing: { enabled: true } } })], undefined],
    [
      'v1.31.14+k0s.0',
      [document({ network: { nodeLocalLoadBalancing: { enabled: false } } })],
      /turns nodeLocalLoadBalancing off/,
    ],
    ['v1.31.14+k0s.0', [document({ storage: { type: 'kine' } })], /SQLite/],
    ['v1.31.14+k0s.0', [document({ storage: { type: 'kine', kine: { dataSource: 'mysql://x' } } })], undefined],
  ])('of %s with %j: %s', (version, documents, problem) => {
    const several = severalMastersProblem(facts({ version, documents }));
    if (problem === undefined) expect(several).toBeUndefined();
    else expect(several).toMatch(problem);
    expect(severalMastersProblem(facts({ version, documents, masters: ['10.99.0.2'] }))).toBeUndefined();
  });
});

describe('networks', () => {
  it('are the same as with kubeadm unless a document has others', () => {
    expect(networksOf([])).toEqual({ podCIDR: '100.64.0.0/10', serviceCIDR: '10.96.0.0/22' });
    expect(networksOf([document({ network: { podCIDR: '10.1.0.0/16' } })])).toEqual({
      podCIDR: '10.1.0.0/16',
      serviceCIDR: '10.96.0.0/22',
    });
  });

  it('are two of each in a dual-stack cluster', () => {
    const dualStack = { enabled: true, IPv6podCIDR: 'fd00::/108', IPv6serviceCIDR: 'fd01::/108' };
    expect(networksOf([document({ network: { dualStack } })])).toEqual({
      podCIDR: '100.64.0.0/10,fd00::/108',
      serviceCIDR: '10.96.0.0/22,fd01::/108',
    });
  });
});

import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { configText, k3sConfig, membershipOf, networksOf, serverUrl } from '../../../src/runtime/k3s/config.js';
import { containerdTemplate, mayLowerOomScore } from '../../../src/runtime/k3s/containerd-template.js';
import { k3sDocuments } from '../../../src/runtime/k3s/documents.js';
import { memberNode, parseMembers } from '../../../src/runtime/k3s/etcd.js';
import { withLiveServer } from '../../../src/runtime/k3s/follow.js';
import { registriesYaml } from '../../../src/runtime/k3s/registries.js';
import { parseToken } from '../../../src/runtime/k3s/tokens.js';
import { k3sUnit } from '../../../src/runtime/k3s/unit.js';

const TOKEN = `K10${'ab'.repeat(32)}::server:0123456789abcdef`;
const NOTHING = { certSANs: [], documents: [] };
const document = (spec: unknown) => ({ apiVersion: 'slipway/v1', kind: 'K3sConfig', spec });

describe("k3s' config.yaml", () => {
  it('of a first server has no token: k3s makes it', () => {
    expect(k3sConfig('server', '10.0.0.1', { begins: 'alone' }, { certSANs: ['api.example'], documents: [] })).toEqual({
      'node-ip': '10.0.0.1',
      'tls-san': ['10.0.0.1', 'api.example'],
    });
    expect(k3sConfig('server', '10.0.0.1', { begins: 'etcd' }, NOTHING)['cluster-init']).toBe(true);
  });

  it('of a host that joins names a master, and has the token in its full form', () => {
    const membership = { server: serverUrl('10.0.0.1'), token: TOKEN };
    expect(k3sConfig('agent', '10.0.0.9', membership, { certSANs: ['api.example'], documents: [] })).toEqual({
      server: 'https://10.0.0.1:6443',
      token: TOKEN,
      'node-ip': '10.0.0.9',
    });
    expect(serverUrl('fd00::1')).toBe('https://[fd00::1]:6443');
  });

  it('gets what the documents say, later ones over earlier ones, names of certificates of both', () => {
    const documents = [
      document({ server: { disable: ['traefik'], 'flannel-backend': 'vxlan', 'tls-san': ['a'] } }),
      { kind: 'ClusterConfiguration', networking: {} },
      document({ server: { disable: 'servicelb', 'flannel-backend': 'host-gw' }, agent: { 'kubelet-arg': ['v=2'] } }),
    ];
    const facts = { certSANs: ['b'], documents };
    expect(k3sConfig('server', '10.0.0.1', { begins: 'alone' }, facts)).toEqual({
      'node-ip': '10.0.0.1',
      'tls-san': ['10.0.0.1', 'a', 'b'],
      disable: ['traefik', 'servicelb'],
      'flannel-backend': 'host-gw',
    });
    expect(k3sConfig('agent', '10.0.0.9', { begins: 'alone' }, facts)).toEqual({
      'node-ip': '10.0.0.9',
      'kubelet-arg': ['v=2'],
    });
  });

  it.each([
    [{ server: { token: 'x' } }, 'spec.server.token is not for a document to say'],
    [{ server: { t: 'x' } }, 'spec.server.t is not for a document to say: k3s makes it'],
    [{ agent: { d: '/data' } }, 'spec.agent.d is not for a document to say: k3s is looked for where'],
    [{ agent: { 'container-runtime-endpoint': '/run/x' } }, 'container-runtime-endpoint is not for a document to say'],
    [{ server: { 'cluster-init': true } }, 'spec.server.cluster-init is not for a document to say'],
    [{ agent: { server: 'https://x' } }, 'spec.agent.server is not for a document to say'],
    [{ server: { 'datastore-endpoint': 'mysql://' } }, 'spec.server.datastore-endpoint is not for a document to say'],
    [{ masters: {} }, 'spec.masters is unknown'],
    [{ server: ['a'] }, 'spec.server is not a map'],
    [{ server: { 'Kubelet Arg': 1 } }, 'is no setting of k3s'],
    [{ server: { 'kubelet-arg': { v: 2 } } }, 'is neither a value nor a list of values'],
    ['text', 'spec is not a map'],
  ])('is not made from %j', (spec, message) => {
    expect(() => k3sDocuments([document(spec)])).toThrow(expect.objectContaining({ code: 'E_CLUSTERFILE' }));
    expect(() => k3sDocuments([document(spec)])).toThrow(message);
  });

  it('is the same text for the same settings, and says how the host came to the cluster', () => {
    const joins = { server: 'https://10.0.0.1:6443', token: TOKEN };
    const settings = k3sConfig('server', '10.0.0.2', joins, NOTHING);
    const text = configText(settings);
    expect(text).toBe(configText(Object.fromEntries(Object.entries(settings).reverse())));
    expect(parse(text)).toEqual(settings);
    expect(membershipOf(text)).toEqual(joins);
    for (const begins of ['alone', 'etcd'] as const) {
      expect(membershipOf(configText(k3sConfig('server', '10.0.0.1', { begins }, NOTHING)))).toEqual({ begins });
    }
    expect(membershipOf('[1, 2')).toBeUndefined();
    expect(membershipOf('')).toBeUndefined();
  });

  it('has the networks that the documents say, and those of k3s without', () => {
    expect(networksOf([])).toEqual({ podCIDR: '10.42.0.0/16', serviceCIDR: '10.43.0.0/16' });
    expect(
      networksOf([
        document({ server: { 'cluster-cidr': ['10.1.0.0/16', 'fd01::/56'], 'service-cidr': '10.2.0.0/16' } }),
      ]),
    ).toEqual({ podCIDR: '10.1.0.0/16,fd01::/56', serviceCIDR: '10.2.0.0/16' });
  });

  it('names another master when the one that it names is gone', () => {
    const masters = [{ address: '10.0.0.1' }, { address: '10.0.0.2' }];
    const gone = { server: serverUrl('10.0.0.9'), token: TOKEN };
    expect(withLiveServer(gone, { address: '10.0.0.7' }, { masters })).toEqual({
      ...gone,
      server: serverUrl('10.0.0.1'),
    });
    expect(withLiveServer(gone, { address: '10.0.0.1' }, { masters })).toEqual({
      ...gone,
      server: serverUrl('10.0.0.2'),
    });
    const there = { server: serverUrl('10.0.0.2'), token: TOKEN };
    expect(withLiveServer(there, { address: '10.0.0.7' }, { masters })).toBe(there);
    expect(withLiveServer(gone, { address: '10.0.0.1' }, { masters: [{ address: '10.0.0.1' }] })).toBe(gone);
    expect(withLiveServer({ begins: 'etcd' }, { address: '10.0.0.1' }, { masters })).toEqual({ begins: 'etcd' });
  });
});

describe('a token of k3s', () => {
  it('is read in its full form, which names the cluster', () => {
    expect(parseToken(`${TOKEN}\n`, 'it')).toEqual({ text: TOKEN, caHash: 'ab'.repeat(32) });
  });

  it.each(['', 'secret', 'K10ab::server:x', `K10${'ab'.repeat(32)}`, `K10${'AB'.repeat(32)}::server:x`])(
    'is not %j',
    (text) => {
      expect(() => parseToken(text, 'the file')).toThrow(/^the file is no token of k3s in its full form/);
    },
  );
});

describe('settings of registries', () => {
  const source = {
    own: ['sea.hub:5000'],
    endpoints: ['https://sea.hub:5000', 'https://10.0.0.1:5000'],
    upstreams: ['docker.io'],
    caFile: '/etc/ca.crt',
    login: undefined,
  };

  it('lead every upstream to the registry of the cluster, which is trusted', () => {
    expect(parse(registriesYaml(source))).toEqual({
      mirrors: {
        'sea.hub:5000': { endpoint: source.endpoints },
        'docker.io': { endpoint: source.endpoints },
      },
      configs: {
        'sea.hub:5000': { tls: { ca_file: '/etc/ca.crt' } },
        '10.0.0.1:5000': { tls: { ca_file: '/etc/ca.crt' } },
      },
    });
    expect(registriesYaml(source)).not.toMatch(/[&*]a1/);
  });

  it('log in when there is a password', () => {
    const text = registriesYaml({ ...source, login: { username: 'u', password: 'p: #"' } });
    expect(parse(text)).toMatchObject({ configs: { 'sea.hub:5000': { auth: { username: 'u', password: 'p: #"' } } } });
  });
});

describe('oom scores', () => {
  it('are looked at by the capabilities of the host', () => {
    expect(mayLowerOomScore('000001ffffffffff\n')).toBe(true);
    expect(mayLowerOomScore('000001fffeffffff')).toBe(false);
    expect(mayLowerOomScore('')).toBe(true);
  });

  it('are left alone where they must be, and a k3s can be told so', () => {
    expect(containerdTemplate('v1.30.4+k3s1', true)).toBeUndefined();
    const text = containerdTemplate('v1.30.4+k3s1', false) ?? '';
    expect(text.indexOf('restrict_oom_score_adj = true')).toBeLessThan(text.indexOf('{{ template "base" . }}'));
    expect(containerdTemplate('v1.23.4+k3s1', false)).toBeUndefined();
    expect(containerdTemplate('v1.32.2+k3s1', false)).toBeUndefined();
  });
});

it('members of etcd are those that etcd names, with and without a node', () => {
  const answer = [
    { id: 1, peerURLs: ['https://10.0.0.1:2380'], name: 'm1-0a', clientURLs: ['https://10.0.0.1:2379'] },
    { id: 2, peerURLs: ['https://[fd00::2]:2380'], name: 'm2-0b', clientURLs: [], isLearner: true },
    { id: 3, peerURLs: ['https://10.0.0.3:2380'] },
  ];
  expect(parseMembers(JSON.stringify(answer), '10.0.0.1')).toEqual([
    { id: '1', name: 'm1-0a', address: '10.0.0.1', started: true, learner: false },
    { id: '2', name: 'm2-0b', address: 'fd00::2', started: true, learner: true },
    { id: '3', name: '', address: '10.0.0.3', started: false, learner: false },
  ]);
  expect(() => parseMembers('no', '10.0.0.1')).toThrow('10.0.0.1: etcd does not list its members as expected: no');
});

it('a member without a node is given one by which k3s finds it', () => {
  expect(JSON.parse(memberNode('M3-0C', '10.0.0.3'))).toMatchObject({
    kind: 'Node',
    metadata: {
      name: 'm3-0c',
      labels: { 'node-role.kubernetes.io/etcd': 'true' },
      annotations: { 'etcd.k3s.cattle.io/node-name': 'M3-0C', 'etcd.k3s.cattle.io/node-address': '10.0.0.3' },
    },
  });
});

it('the service runs k3s with no settings on its command line, and its pods go on without it', () => {
  expect(k3sUnit('server')).toMatch(/^ExecStart=\/usr\/local\/bin\/k3s server$/m);
  expect(k3sUnit('agent')).toMatch(/^ExecStart=\/usr\/local\/bin\/k3s agent$/m);
  for (const line of [
    'Type=notify',
    'KillMode=process',
    'Delegate=yes',
    'LimitNOFILE=1048576',
    'TasksMax=infinity',
    'TimeoutStartSec=0',
    'Restart=always',
    'ExecStartPre=-/sbin/modprobe br_netfilter',
    'ExecStartPre=-/sbin/modprobe overlay',
  ]) {
    expect(k3sUnit('server').split('\n')).toContain(line);
  }
});

import { describe, expect, it } from 'vitest';
import { readClusterfile } from '../../../src/install/clusterfile/read-clusterfile.js';
import { specFromClusterfile } from '../../../src/install/clusterfile/spec-from-clusterfile.js';
import { clusterfileOf } from '../../../src/install/clusterfile/write-clusterfile.js';
import { CLUSTERFILE_SOURCE } from '../../../src/install/spec/plugin-spec.js';
import type { ClusterState, HostState } from '../../../src/install/state/cluster-state.js';
import { specFromState } from '../../../src/install/state/spec-from-state.js';
import { k0sDriver } from '../../../src/runtime/k0s/driver.js';
import { k3sDriver } from '../../../src/runtime/k3s/driver.js';
import { kubeadmDriver } from '../../../src/runtime/kubeadm/driver.js';

const written = (state: ClusterState): string => clusterfileOf(state, kubeadmDriver);

const hostState = (address: string, role: string, over: Partial<HostState> = {}): HostState => ({
  address,
  roles: [role],
  hostname: '',
  machineId: '',
  ssh: { user: 'root', port: 22, privateKey: '/root/.ssh/id_ed25519' },
  env: {},
  labels: {},
  taints: [],
  index: 0,
  ...over,
});
const state: ClusterState = {
  schema: 1,
  id: 'id',
  name: 'edge',
  phase: 'running',
  image: { name: 'localhost:5000/k8s:v1.20.2', digest: 'sha256:x' },
  runtime: 'k8s',
  version: 'v1.20.2',
  dataRoot: '/srv/slipway',
  registry: { domain: 'hub.edge', port: 5443, names: ['hub.example', '10.0.0.9'], address: '10.0.0.2' },
  env: { SHIFT: 'night', TEXT: 'a "b": c # d' },
  envNotKept: [],
  notKept: [],
  cmds: ['kubectl apply -f manifests'],
  apps: ['web'],
  containerRuntime: 'containerd',
  hostAliases: [{ address: '10.0.0.99', names: ['files', 'files.example'] }],
  configs: [
    { path: 'etc/app.conf', data: 'a: 1\n', strategy: 'merge' },
    {
      path: 'etc/s.yaml',
      data: 'a: x\n',
      strategy: 'overwrite',
      process: ['value', 'toBase64', 'toSecret'],
      name: 'keys',
    },
  ],
  plugins: [
    {
      name: 'disks',
      type: 'SHELL',
      phases: ['pre-init-host', 'PreClean'],
      on: '10.0.0.4-10.0.0.6',
      scope: 'node',
      data: 'echo "$HostIP: ${HOME}"\n# done\n',
      timeoutMs: 90_000,
      source: CLUSTERFILE_SOURCE,
    },
    { name: 'zones', type: 'LABEL', phases: [], data: '10.0.0.6 zone=b', source: CLUSTERFILE_SOURCE },
  ],
  imagePlugins: [],
  applications: [],
  configDocuments: [
    { apiVersion: 'kubeadm.k8s.io/v1beta2', kind: 'ClusterConfiguration', networking: { podSubnet: '10.1.0.0/16' } },
  ],
  documents: [],
  certSANs: [],
  hosts: [
    hostState('10.0.0.2', 'master', { taints: ['dedicated=plane:NoSchedule'] }),
    hostState('10.0.0.4', 'node', { labels: { zone: 'a' } }),
    hostState('10.0.0.5', 'node', { labels: { zone: 'a' } }),
    hostState('10.0.0.6', 'node', {
      ssh: { user: 'admin', port: 2222, bastion: { host: 'gate', user: 'root', port: 22 } },
      env: { ROLE: 'press' },
    }),
    hostState('10.0.0.7', 'node', { leaving: true }),
  ],
  created: '2026-05-01T12:00:00.000Z',
  updated: '2026-05-01T12:00:00.000Z',
};

const read = (text: string, environment: NodeJS.ProcessEnv = {}) =>
  specFromClusterfile(readClusterfile(text, 'Clusterfile'), {}, { file: '/tmp/Clusterfile', environment });

describe('the Clusterfile of a cluster', () => {
  it('describes it: read again it is the same', async () => {
    const spec = { ...specFromState(state, { ssh: {}, env: {} }), image: state.image.name };
    expect(await read(written(state))).toEqual(spec);
  });

  it('is as short as can be', () => {
    const [first] = state.hosts;
    if (first === undefined) throw new Error('no host');
    const text = written({
      ...state,
      dataRoot: '/var/lib/slipway',
      registry: { domain: 'sea.hub', port: 5000 },
      env: {},
      cmds: undefined,
      apps: undefined,
      containerRuntime: undefined,
      hostAliases: [],
      configs: [],
      configDocuments: [],
      plugins: [],
      hosts: [{ ...first, taints: [] }, hostState('10.0.0.4', 'node'), hostState('10.0.0.5', 'node')],
    });
    expect(text).toBe(`apiVersion: slipway/v1
kind: Cluster
metadata:
  name: edge
spec:
  image: localhost:5000/k8s:v1.20.2
  ssh:
    user: root
    port: 22
    pk: /root/.ssh/id_ed25519
  hosts:
    - ips:
        - 10.0.0.2
      roles:
        - master
    - ips:
        - 10.0.0.4
        - 10.0.0.5
      roles:
        - node
`);
  });

  it('asks for secrets, which are not known', async () => {
    const text = written({
      ...state,
      env: {},
      envNotKept: ['DB_PASSWORD'],
      registry: { domain: 'sea.hub', port: 5000, username: 'ship' },
    });
    await expect(read(text)).rejects.toThrow(/there is no environment variable DB_PASSWORD[\s\S]*REGISTRY_PASSWORD/);
    const spec = await read(text, { DB_PASSWORD: 'one of many', REGISTRY_PASSWORD: 'another of many' });
    expect(spec.env).toEqual({ DB_PASSWORD: 'one of many' });
    expect(spec.registry).toMatchObject({ username: 'ship', password: 'another of many' });
  });

  it('has names of the API server where the runtime wants them, and no image that nobody knows', () => {
    expect(written({ ...state, certSANs: ['api.example.com'] })).toMatch(
      /kind: ClusterConfiguration\napiServer:\n {2}certSANs:\n {4}- api\.example\.com\n$/,
    );
    const named = { ...state, certSANs: ['api.example.com'] };
    expect(clusterfileOf(named, k3sDriver)).toMatch(
      /kind: K3sConfig\nspec:\n {2}server:\n {4}tls-san:\n {6}- api\.example\.com\n$/,
    );
    expect(clusterfileOf(named, k0sDriver)).toMatch(
      /kind: ClusterConfig\nspec:\n {2}api:\n {4}sans:\n {6}- api\.example\.com\n$/,
    );
    expect(written({ ...state, foreign: true })).not.toContain('image:');
  });
});

// What the engine does for every runtime alike, and what it refuses when two of them meet.
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { parseDigest } from '../../../src/image/digest.js';
import { parseMetadata } from '../../../src/image/metadata.js';
import { driverOf } from '../../../src/install/cluster-hosts/ask-cluster.js';
import { parseTraces } from '../../../src/install/cluster-hosts/host-owner.js';
import { readClusterfile } from '../../../src/install/clusterfile/read-clusterfile.js';
import { registryAccess } from '../../../src/install/registry/registry-access.js';
import { mirrorFiles, runtimeMirrorFiles } from '../../../src/install/registry/registry-mirrors.js';
import { parseClusterSpec } from '../../../src/install/spec/cluster-spec.js';
import { nextState } from '../../../src/install/state/next-state.js';
import { chooseClusterRuntime } from '../../../src/runtime/choose.js';

const HEAD = `apiVersion: slipway/v1
kind: Cluster
metadata: { name: boat }
spec: { image: k3s:v1, hosts: [{ ips: [10.0.0.1], roles: [master] }] }
`;

describe('documents of k3s in a Clusterfile', () => {
  it('are taken as they are', () => {
    const text = `${HEAD}---\napiVersion: slipway/v1\nkind: K3sConfig\nspec: { server: { disable: [traefik] } }\n`;
    expect(readClusterfile(text, 'Clusterfile').runtimeDocuments).toEqual([
      { apiVersion: 'slipway/v1', kind: 'K3sConfig', spec: { server: { disable: ['traefik'] } } },
    ]);
  });

  it('are known by their kind', () => {
    const text = `${HEAD}---\napiVersion: slipway/v1\nkind: K3SConfig\n`;
    expect(() => readClusterfile(text, 'Clusterfile')).toThrow(/unknown kind K3SConfig; did you mean K3sConfig\?/);
  });
});

describe('a runtime', () => {
  it('that nobody knows is refused where Metadata is read', () => {
    expect(() => parseMetadata('{"version": "v1.30.0", "ClusterRuntime": "k4s"}', 'Metadata of x')).toThrow(
      expect.objectContaining({ code: 'E_INVALID_METADATA', hint: expect.stringContaining('k8s, k0s, k3s') }),
    );
  });

  it('that a state names and this version does not know is refused by name', async () => {
    await expect(driverOf({ runtime: 'k4s', name: 'boat' })).rejects.toThrow(
      'cluster boat was installed with the runtime k4s, which is unknown here',
    );
  });

  it('does not become another one', () => {
    const host = { address: '10.0.0.1', roles: ['master'], ssh: { user: 'root', port: 22 }, env: {} };
    const spec = parseClusterSpec(
      {
        name: 'boat',
        image: 'x',
        hosts: [host],
        env: {},
        registry: { domain: 'sea.hub', port: 5000 },
        certSANs: [],
        hostAliases: [],
        configs: [],
        configDocuments: [],
        dataRoot: '/var/lib/slipway',
      },
      'it',
    );
    const wanted = (name: 'k8s' | 'k3s') => ({
      spec,
      image: {
        name: `${name}:v1`,
        digest: parseDigest(`sha256:${'0'.repeat(64)}`),
        version: 'v1.30.4+k3s1',
        upstreams: [],
      },
      driver: { name },
      documents: [],
      servesImages: false,
    });
    const before = nextState(undefined, wanted('k8s'));
    const allowed = { removal: true, change: 'upgrade' as const };
    expect(() => nextState({ ...before, phase: 'running' }, wanted('k3s'), allowed)).toThrow(
      'cluster boat is one of kubeadm, and k3s:v1 installs k3s: the one cannot become the other',
    );
    expect(() => nextState(before, wanted('k3s'))).toThrow('the one cannot become the other');
    expect(nextState(nextState(undefined, wanted('k3s')), wanted('k3s')).runtime).toBe('k3s');
  });

  it('has its settings of registries where it reads them; the CA is where it always is', async () => {
    const spec = { domain: 'sea.hub', port: 5000, username: 'u', password: 'p: "#' };
    const registry = { ...registryAccess(spec, ['10.0.0.1'], undefined), ca: 'CA' };
    const kubeadm = await chooseClusterRuntime({ ClusterRuntime: 'k8s' });
    expect(runtimeMirrorFiles(kubeadm, registry, ['docker.io'])).toEqual(mirrorFiles(registry, ['docker.io']));
    const k3s = await chooseClusterRuntime({ ClusterRuntime: 'k3s' });
    const [ca, settings, ...more] = runtimeMirrorFiles(k3s, registry, ['docker.io']);
    expect(ca).toEqual({ path: '/etc/containerd/certs.d/sea.hub:5000/ca.crt', content: 'CA', mode: 0o644 });
    expect(settings).toMatchObject({ path: '/etc/rancher/k3s/registries.yaml', mode: 0o600 });
    expect(settings?.content).toContain('ca_file: /etc/containerd/certs.d/sea.hub:5000/ca.crt');
    expect(parse(settings?.content ?? '')).toMatchObject({
      configs: { 'sea.hub:5000': { auth: { username: 'u', password: 'p: "#' } } },
    });
    expect(more).toEqual([]);
  });

  it('has a service whose log tells of a node', async () => {
    const k3s = await chooseClusterRuntime({ ClusterRuntime: 'k3s' });
    expect([k3s.nodeUnit('master'), k3s.nodeUnit('worker')]).toEqual(['k3s.service', 'k3s-agent.service']);
    expect((await chooseClusterRuntime({})).nodeUnit('worker')).toBe('kubelet.service');
  });
});

it('a k3s of somebody else is seen, also when it does not run', () => {
  expect(parseTraces('kubernetes=/etc/systemd/system/k3s.service\n').kubernetes).toEqual([
    '/etc/systemd/system/k3s.service',
  ]);
});

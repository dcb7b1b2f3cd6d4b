// What the engine does for every runtime alike, and what it refuses when two of them meet.
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { parseDigest } from '../../../src/image/digest.js';
import { parseMetadata } from '../../../src/image/metadata.js';
import { driverOf } from '../../../src/install/cluster-hosts/ask-cluster.js';
import { parseTraces } from '../../../src/install/cluster-hosts/host-owner.js';
import { readClusterfile } from '../../../src/install/clusterfile/read-clusterfile.js';
import { followSteps } from '../../../src/install/phases/follow.js';
import { registryAccess } from '../../../src/install/registry/registry-access.js';
import { mirrorFiles, runtimeMirrorFiles } from '../../../src/install/registry/registry-mirrors.js';
import { parseClusterSpec } from '../../../src/install/spec/cluster-spec.js';
import { nextState } from '../../../src/install/state/next-state.js';
import { chooseClusterRuntime } from '../../../src/runtime/choose.js';
import { stubHost } from '../../support/stub-host.js';

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
      expect.objectContaining({
        code: 'E_INVALID_METADATA',
        message: 'Metadata of x: ClusterRuntime is "k4s", which is unknown',
        hint: expect.stringContaining('k8s, k0s, k3s'),
      }),
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

describe('a version that cannot be installed as it is wanted', () => {
  const hosts = (count: number) => Array.from({ length: count }, (_, index) => ({ address: `10.0.0.${index + 1}` }));
  const problemOf = async (ClusterRuntime: 'k0s' | 'k3s' | 'k8s', version: string, masters: number) => {
    const driver = await chooseClusterRuntime({ ClusterRuntime });
    const context = { name: 'boat', version, masters: hosts(masters), workers: [], certSANs: [], configDocuments: [] };
    return driver.installProblem?.(context as never);
  };

  it.each([
    ['k0s', 'v1.22.17+k0s.0', 1, /k0s v1\.22\.17\+k0s\.0 is older than v1\.23\.0/, /"k0s config create"/],
    ['k0s', 'v1.28.9+k0s.0', 2, /k0s v1\.28\.9\+k0s\.0 cannot lead workers to several masters/, /externalAddress/],
    ['k3s', 'v1.18.20+k3s1', 1, /k3s v1\.18\.20\+k3s1 is older than v1\.19\.1/, /later one/],
    ['k3s', 'v1.19.4+k3s1', 3, /k3s v1\.19\.4\+k3s1 has no etcd inside/, /v1\.19\.5/],
    ['k3s', 'latest', 1, /"latest" is not a Kubernetes version/, /Metadata/],
  ] as const)('%s %s with %i masters says so, and what to do', async (runtime, version, masters, problem, hint) => {
    const found = await problemOf(runtime, version, masters);
    expect(found?.problem).toMatch(problem);
    expect(found?.hint).toMatch(hint);
  });

  it.each([
    ['k0s', 'v1.28.9+k0s.0', 1],
    ['k0s', 'v1.29.0+k0s.0', 3],
    ['k3s', 'v1.19.4+k3s1', 1],
    ['k3s', 'v1.30.4+k3s1', 3],
    ['k8s', 'v1.20.2', 3],
  ] as const)('is none of %s %s with %i', async (runtime, version, masters) => {
    expect(await problemOf(runtime, version, masters)).toBeUndefined();
  });
});

describe('a plan for hosts that are not there yet', () => {
  const context = { masters: [{ address: '10.0.0.1' }], workers: [], certSANs: [], configDocuments: [] } as never;

  it('does not say of the settings of k3s that they are as they are wanted', async () => {
    const host = stubHost('10.0.0.1', () => undefined);
    const follow = (await chooseClusterRuntime({ ClusterRuntime: 'k3s' })).follow?.(host, context);
    expect(await follow?.done()).toBe(false);
    await follow?.run(() => {});
    expect(host.files.size).toBe(0);
  });

  it('has nothing for hosts of k0s, which find the API servers by themselves', async () => {
    const k0s = await chooseClusterRuntime({ ClusterRuntime: 'k0s' });
    expect(followSteps(k0s, context, [stubHost('10.0.0.1', () => undefined)])).toEqual([]);
  });
});

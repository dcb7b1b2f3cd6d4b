import { describe, expect, it } from 'vitest';
import { parse, parseAllDocuments } from 'yaml';
import { isSlipwayError } from '../../../src/base/errors.js';
import { kubeadmApi } from '../../../src/runtime/kubeadm/api-version.js';
import {
  controlPlaneEndpoint,
  initConfig,
  joinConfig,
  type KubeadmFacts,
  networksOf,
  uploadCertsConfig,
} from '../../../src/runtime/kubeadm/config.js';

const facts = (over: Partial<KubeadmFacts> = {}): KubeadmFacts => ({
  version: 'v1.20.2',
  masters: ['10.99.0.2'],
  hasWorkers: true,
  certSANs: ['k8s.example.com'],
  documents: [],
  ...over,
});

const USER_DOCUMENTS = [
  {
    apiVersion: 'kubeadm.k8s.io/v1beta2',
    kind: 'InitConfiguration',
    skipPhases: ['addon/coredns'],
    nodeRegistration: { kubeletExtraArgs: { v: 4 }, ignorePreflightErrors: ['SystemVerification'] },
  },
  {
    kind: 'ClusterConfiguration',
    useHyperKubeImage: false,
    dns: { type: 'CoreDNS', imageTag: '1.7.0' },
    networking: { podSubnet: '10.244.0.0/16' },
    apiServer: {
      certSANs: ['k8s.example.com', 'extra.example.com'],
      timeoutForControlPlane: '5m0s',
      extraArgs: { 'feature-gates': 'A=true', 'audit-log-maxage': 7 },
    },
    etcd: { local: { extraArgs: { 'listen-metrics-urls': 'http://0.0.0.0:2381' } } },
  },
  { kind: 'KubeletConfiguration', cgroupDriver: 'cgroupfs' },
  { kind: 'KubeProxyConfiguration', conntrack: { maxPerCore: 0 } },
  { kind: 'ClusterConfig', spec: { somebody: 'else' } },
];

describe('the API version', () => {
  it.each([
    ['v1.15.0', 'v1beta2'],
    ['v1.20.2', 'v1beta2'],
    ['v1.21.14', 'v1beta2'],
    ['v1.22.0-rc.0', 'v1beta3'],
    ['v1.22.0', 'v1beta3'],
    ['v1.30.9', 'v1beta3'],
    ['v1.31.0', 'v1beta4'],
    ['v1.100.0', 'v1beta4'],
  ])('of %s is %s', (version, api) => {
    expect(kubeadmApi(version)).toBe(api);
  });

  it('refuses what is too old, and what is no version', () => {
    expect(() => kubeadmApi('v1.14.10')).toThrow(/older than v1\.15/);
    expect(() => kubeadmApi('latest')).toThrow(/"latest" is not a Kubernetes version/);
  });
});

describe('kubeadm init', () => {
  it('is given v1beta2 for 1.20', () => {
    expect(initConfig(facts(), '10.99.0.2').file).toMatchInlineSnapshot(`
      "apiVersion: kubeadm.k8s.io/v1beta2
      kind: InitConfiguration
      bootstrapTokens:
        - ttl: 15m0s
          description: made by kubeadm init, not used
      localAPIEndpoint:
        advertiseAddress: 10.99.0.2
        bindPort: 6443
      nodeRegistration:
        criSocket: /run/containerd/containerd.sock
        kubeletExtraArgs:
          node-ip: 10.99.0.2
      ---
      apiVersion: kubeadm.k8s.io/v1beta2
      kind: ClusterConfiguration
      kubernetesVersion: v1.20.2
      controlPlaneEndpoint: apiserver.cluster.local:6443
      networking:
        podSubnet: 100.64.0.0/10
        serviceSubnet: 10.96.0.0/22
        dnsDomain: cluster.local
      apiServer:
        certSANs:
          - 127.0.0.1
          - apiserver.cluster.local
          - 10.103.97.2
          - 10.99.0.2
          - k8s.example.com
      "
    `);
  });

  it('takes the documents of image and user over what is generated (v1beta2)', () => {
    const { file, flags } = initConfig(facts({ documents: USER_DOCUMENTS }), '10.99.0.2');
    expect(file).toMatchInlineSnapshot(`
      "apiVersion: kubeadm.k8s.io/v1beta2
      kind: InitConfiguration
      bootstrapTokens:
        - ttl: 15m0s
          description: made by kubeadm init, not used
      localAPIEndpoint:
        advertiseAddress: 10.99.0.2
        bindPort: 6443
      nodeRegistration:
        criSocket: /run/containerd/containerd.sock
        kubeletExtraArgs:
          node-ip: 10.99.0.2
          v: "4"
        ignorePreflightErrors:
          - SystemVerification
      ---
      apiVersion: kubeadm.k8s.io/v1beta2
      kind: ClusterConfiguration
      kubernetesVersion: v1.20.2
      controlPlaneEndpoint: apiserver.cluster.local:6443
      networking:
        podSubnet: 10.244.0.0/16
        serviceSubnet: 10.96.0.0/22
        dnsDomain: cluster.local
      apiServer:
        certSANs:
          - 127.0.0.1
          - apiserver.cluster.local
          - 10.103.97.2
          - 10.99.0.2
          - k8s.example.com
          - extra.example.com
        timeoutForControlPlane: 5m0s
        extraArgs:
          feature-gates: A=true
          audit-log-maxage: "7"
      useHyperKubeImage: false
      dns:
        type: CoreDNS
        imageTag: 1.7.0
      etcd:
        local:
          extraArgs:
            listen-metrics-urls: http://0.0.0.0:2381
      ---
      apiVersion: kubelet.config.k8s.io/v1beta1
      kind: KubeletConfiguration
      cgroupDriver: cgroupfs
      ---
      apiVersion: kubeproxy.config.k8s.io/v1alpha1
      kind: KubeProxyConfiguration
      conntrack:
        maxPerCore: 0
      "
    `);
    expect(flags).toEqual(['--skip-phases=addon/coredns']);
  });

  it('is given v1beta3 for 1.29, without what it no longer knows', () => {
    const { file, flags } = initConfig(facts({ version: 'v1.29.2', documents: USER_DOCUMENTS }), '10.99.0.2');
    expect(file).toMatchInlineSnapshot(`
      "apiVersion: kubeadm.k8s.io/v1beta3
      kind: InitConfiguration
      bootstrapTokens:
        - ttl: 15m0s
          description: made by kubeadm init, not used
      localAPIEndpoint:
        advertiseAddress: 10.99.0.2
        bindPort: 6443
      nodeRegistration:
        criSocket: unix:///run/containerd/containerd.sock
        kubeletExtraArgs:
          node-ip: 10.99.0.2
          v: "4"
        ignorePreflightErrors:
          - SystemVerification
      skipPhases:
        - addon/coredns
      ---
      apiVersion: kubeadm.k8s.io/v1beta3
      kind: ClusterConfiguration
      kubernetesVersion: v1.29.2
      controlPlaneEndpoint: apiserver.cluster.local:6443
      networking:
        podSubnet: 10.244.0.0/16
        serviceSubnet: 10.96.0.0/22
        dnsDomain: cluster.local
      apiServer:
        certSANs:
          - 127.0.0.1
          - apiserver.cluster.local
          - 10.103.97.2
          - 10.99.0.2
          - k8s.example.com
          - extra.example.com
        timeoutForControlPlane: 5m0s
        extraArgs:
          feature-gates: A=true
          audit-log-maxage: "7"
      dns:
        imageTag: 1.7.0
      etcd:
        local:
          extraArgs:
            listen-metrics-urls: http://0.0.0.0:2381
      ---
      apiVersion: kubelet.config.k8s.io/v1beta1
      kind: KubeletConfiguration
      cgroupDriver: cgroupfs
      ---
      apiVersion: kubeproxy.config.k8s.io/v1alpha1
      kind: KubeProxyConfiguration
      conntrack:
        maxPerCore: 0
      "
    `);
    expect(flags).toEqual([]);
  });

  it('is given v1beta4 for 1.31: arguments as lists, time-outs in their place', () => {
    const { file } = initConfig(facts({ version: 'v1.31.1', documents: USER_DOCUMENTS }), '10.99.0.2');
    expect(file).toMatchInlineSnapshot(`
      "apiVersion: kubeadm.k8s.io/v1beta4
      kind: InitConfiguration
      timeouts:
        controlPlaneComponentHealthCheck: 5m0s
      bootstrapTokens:
        - ttl: 15m0s
          description: made by kubeadm init, not used
      localAPIEndpoint:
        advertiseAddress: 10.99.0.2
        bindPort: 6443
      nodeRegistration:
        criSocket: unix:///run/containerd/containerd.sock
        kubeletExtraArgs:
          - name: node-ip
            value: 10.99.0.2
          - name: v
            value: "4"
        ignorePreflightErrors:
          - SystemVerification
      skipPhases:
        - addon/coredns
      ---
      apiVersion: kubeadm.k8s.io/v1beta4
      kind: ClusterConfiguration
      kubernetesVersion: v1.31.1
      controlPlaneEndpoint: apiserver.cluster.local:6443
      networking:
        podSubnet: 10.244.0.0/16
        serviceSubnet: 10.96.0.0/22
        dnsDomain: cluster.local
      apiServer:
        certSANs:
          - 127.0.0.1
          - apiserver.cluster.local
          - 10.103.97.2
          - 10.99.0.2
          - k8s.example.com
          - extra.example.com
        extraArgs:
          - name: audit-log-maxage
            value: "7"
          - name: feature-gates
            value: A=true
      dns:
        imageTag: 1.7.0
      etcd:
        local:
          extraArgs:
            - name: listen-metrics-urls
              value: http://0.0.0.0:2381
      ---
      apiVersion: kubelet.config.k8s.io/v1beta1
      kind: KubeletConfiguration
      cgroupDriver: cgroupfs
      ---
      apiVersion: kubeproxy.config.k8s.io/v1alpha1
      kind: KubeProxyConfiguration
      conntrack:
        maxPerCore: 0
      "
    `);
  });

  it('lets pods run on the masters when there is nothing else', () => {
    const [init] = parseAllDocuments(initConfig(facts({ hasWorkers: false }), '10.99.0.2').file);
    expect(init?.toJS()).toMatchObject({ nodeRegistration: { taints: [] } });
    const [withWorkers] = parseAllDocuments(initConfig(facts(), '10.99.0.2').file);
    expect(withWorkers?.toJS().nodeRegistration).not.toHaveProperty('taints');
  });

  it('keeps both values of an argument that v1beta4 gives twice, and the last one where only one is possible', () => {
    const documents = [
      {
        kind: 'ClusterConfiguration',
        apiServer: {
          extraArgs: [
            { name: 'service-account-issuer', value: 'https://new' },
            { name: 'service-account-issuer', value: 'https://old' },
          ],
        },
      },
    ];
    const argsOf = (version: string) =>
      parseAllDocuments(initConfig(facts({ version, documents }), '10.99.0.2').file)[1]?.toJS().apiServer.extraArgs;
    expect(argsOf('v1.32.0')).toEqual([
      { name: 'service-account-issuer', value: 'https://new' },
      { name: 'service-account-issuer', value: 'https://old' },
    ]);
    expect(argsOf('v1.25.0')).toEqual({ 'service-account-issuer': 'https://old' });
  });
});

describe('kubeadm join', () => {
  it('of a worker (v1beta2)', () => {
    expect(joinConfig(facts(), '10.99.0.3').file).toMatchInlineSnapshot(`
      "apiVersion: kubeadm.k8s.io/v1beta2
      kind: JoinConfiguration
      discovery:
        file:
          kubeConfigPath: /run/slipway/kubeadm-discovery.conf
      nodeRegistration:
        criSocket: /run/containerd/containerd.sock
        kubeletExtraArgs:
          node-ip: 10.99.0.3
      "
    `);
  });

  it('of a master (v1beta4)', () => {
    const documents = [
      {
        kind: 'JoinConfiguration',
        discovery: { timeout: '9m0s', bootstrapToken: { token: 'from.theuser' } },
        nodeRegistration: { kubeletExtraArgs: { 'max-pods': 200 } },
      },
    ];
    expect(
      joinConfig(facts({ version: 'v1.31.0', documents }), '10.99.0.4', 'ab'.repeat(32)).file,
    ).toMatchInlineSnapshot(`
      "apiVersion: kubeadm.k8s.io/v1beta4
      kind: JoinConfiguration
      timeouts:
        discovery: 9m0s
      discovery:
        file:
          kubeConfigPath: /run/slipway/kubeadm-discovery.conf
      nodeRegistration:
        criSocket: unix:///run/containerd/containerd.sock
        kubeletExtraArgs:
          - name: max-pods
            value: "200"
          - name: node-ip
            value: 10.99.0.4
      controlPlane:
        localAPIEndpoint:
          advertiseAddress: 10.99.0.4
          bindPort: 6443
        certificateKey: abababababababababababababababababababababababababababababababab
      "
    `);
  });

  it('never makes a worker a control plane, whatever a document says', () => {
    const documents = [{ kind: 'JoinConfiguration', controlPlane: { localAPIEndpoint: { bindPort: 7443 } } }];
    const { file } = joinConfig(facts({ documents }), '10.99.0.3');
    expect(file).not.toContain('controlPlane');
  });
});

it('uploads certificates with the key in the file', () => {
  const key = 'cd'.repeat(32);
  const { file, flags } = uploadCertsConfig(facts({ documents: USER_DOCUMENTS }), '10.99.0.2', key);
  expect(file).toContain(`certificateKey: ${key}`);
  expect(file).toContain('kubernetesVersion: v1.20.2');
  expect(flags).toEqual([]);
});

describe('what others want to know of the configuration', () => {
  it('is the networks, defaults filled in', () => {
    expect(networksOf([])).toEqual({ podCIDR: '100.64.0.0/10', serviceCIDR: '10.96.0.0/22' });
    expect(networksOf(USER_DOCUMENTS)).toEqual({ podCIDR: '10.244.0.0/16', serviceCIDR: '10.96.0.0/22' });
  });

  it('is the endpoint: ours is mapped in /etc/hosts, another one is its author’s', () => {
    expect(controlPlaneEndpoint(facts())).toEqual({ name: 'apiserver.cluster.local', port: 6443, managed: true });
    const documents = [{ kind: 'ClusterConfiguration', controlPlaneEndpoint: 'lb.example.com:8443' }];
    expect(controlPlaneEndpoint(facts({ documents }))).toEqual({ name: 'lb.example.com', port: 8443, managed: false });
  });
});

it('throws errors of Slipway', () => {
  try {
    kubeadmApi('v1.9.0');
    expect.unreachable();
  } catch (error) {
    expect(isSlipwayError(error, 'E_UNSUPPORTED')).toBe(true);
  }
});

describe('documents for another version of the API', () => {
  it('say time-outs and lives of certificates as this one has them', () => {
    const documents = [
      { kind: 'ClusterConfiguration', certificateValidityPeriod: '87600h', caCertificateValidityPeriod: '876000h' },
      { kind: 'InitConfiguration', timeouts: { controlPlaneComponentHealthCheck: '20m0s' } },
      { kind: 'JoinConfiguration', timeouts: { discovery: '9m0s' } },
    ];
    const [init, cluster] = parseAllDocuments(initConfig(facts({ documents }), '10.99.0.2').file).map((one) =>
      one.toJS(),
    );
    expect(init.timeouts).toBeUndefined();
    expect(cluster.apiServer.timeoutForControlPlane).toBe('20m0s');
    expect(JSON.stringify(cluster)).not.toContain('ValidityPeriod');
    const join = parse(joinConfig(facts({ documents }), '10.99.0.3').file);
    expect(join.discovery.timeout).toBe('9m0s');
    expect(join.timeouts).toBeUndefined();
    const later = initConfig(facts({ documents, version: 'v1.31.0' }), '10.99.0.2').file;
    expect(later).toContain('\ncaCertificateValidityPeriod: 876000h\n');
  });

  it('give the time for a control plane to masters that join, too', () => {
    const documents = [{ kind: 'ClusterConfiguration', apiServer: { timeoutForControlPlane: '20m0s' } }];
    const { file } = joinConfig(facts({ documents, version: 'v1.31.0' }), '10.99.0.4', 'ab'.repeat(32));
    expect(parse(file).timeouts).toEqual({ controlPlaneComponentHealthCheck: '20m0s' });
  });
});

it.each([
  ['api.example.com:8443', 'api.example.com', 8443],
  ['api.example.com', 'api.example.com', 6443],
  ['[fd00::1]:8443', 'fd00::1', 8443],
  ['fd00::1', 'fd00::1', 6443],
  ['10.0.0.9:443', '10.0.0.9', 443],
])('the endpoint %s is %s at port %i', (controlPlaneEndpoint_, name, port) => {
  const documents = [{ kind: 'ClusterConfiguration', controlPlaneEndpoint: controlPlaneEndpoint_ }];
  expect(controlPlaneEndpoint(facts({ documents }))).toEqual({ name, port, managed: false });
  const [, cluster] = parseAllDocuments(initConfig(facts({ documents }), '10.99.0.2').file).map((one) => one.toJS());
  expect(cluster.apiServer.certSANs).toContain(name);
});

import { webcrypto } from 'node:crypto';
import * as x509 from '@peculiar/x509';
import { beforeAll, describe, expect, it } from 'vitest';
import { parse, parseAllDocuments } from 'yaml';
import { isSlipwayError } from '../../../src/base/errors.js';
import { phaseConfig } from '../../../src/runtime/kubeadm/alt-names.js';
import { parseCertificates } from '../../../src/runtime/kubeadm/certificates.js';
import { certificatesConfig } from '../../../src/runtime/kubeadm/config.js';
import { describe as describeConfiguration } from '../../../src/runtime/kubeadm/describe.js';
import { certSANsOf, withCertSANs } from '../../../src/runtime/kubeadm/kubeadm-config.js';

const END = new Date('2027-06-01T12:00:00Z');
let pem: string;
beforeAll(async () => {
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const names = [
    new x509.GeneralName('dns', 'Kubernetes.default'),
    new x509.GeneralName('ip', '10.96.0.1'),
    new x509.GeneralName('ip', 'fd00::2'),
  ];
  const made = await x509.X509CertificateGenerator.createSelfSigned({
    name: 'CN=test',
    notBefore: new Date(0),
    notAfter: END,
    keys,
    signingAlgorithm: algorithm,
    extensions: [new x509.SubjectAlternativeNameExtension(names)],
  });
  pem = made.toString('pem').trim();
});

const CONFIGURATION = `apiServer:
  extraArgs:
    authorization-mode: Node,RBAC
  # of the plant
  certSANs:
  - 127.0.0.1
  - apiserver.cluster.local
apiVersion: kubeadm.k8s.io/v1beta2
certificatesDir: /etc/kubernetes/pki
controlPlaneEndpoint: apiserver.cluster.local:6443
kind: ClusterConfiguration
kubernetesVersion: v1.20.2
networking:
  dnsDomain: cluster.local
  podSubnet: 100.64.0.0/10
  serviceSubnet: 10.96.0.0/22
`;

describe('certificates of a host', () => {
  const line = (file: string, text = pem): string => `${file} ${text.replaceAll('\n', '|')}\n`;

  it('are called as kubeadm calls them, and renewed by different people', () => {
    const files = [
      'pki/apiserver.crt',
      'pki/ca.crt',
      'pki/front-proxy-ca.crt',
      'pki/etcd/ca.crt',
      'pki/etcd/peer.crt',
      'admin.conf',
    ];
    const text = files.map((file) => line(`/etc/kubernetes/${file}`)).join('');
    expect(parseCertificates(text).map(({ name, renewed }) => `${name} ${renewed}`)).toEqual([
      'apiserver command',
      'ca never',
      'front-proxy-ca never',
      'etcd-ca never',
      'etcd-peer command',
      'admin.conf command',
    ]);
    const kubelet = parseCertificates(
      line('/var/lib/kubelet/pki/kubelet-client-current.pem') + line('/etc/kubernetes/kubelet.conf'),
    );
    expect(kubelet.map(({ name, renewed }) => `${name} ${renewed}`)).toEqual(['kubelet self', 'kubelet self']);
  });

  it('say when they end, and their names as people write them', () => {
    expect(parseCertificates(line('/etc/kubernetes/pki/apiserver.crt'))).toEqual([
      {
        name: 'apiserver',
        file: '/etc/kubernetes/pki/apiserver.crt',
        renewed: 'command',
        expires: '2027-06-01T12:00:00.000Z',
        names: ['kubernetes.default', '10.96.0.1', 'fd00::2'],
      },
    ]);
    for (const bad of ['', 'nothing', '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----'])
      expect(parseCertificates(line('/etc/kubernetes/pki/apiserver.crt', bad))[0]).toMatchObject({
        expires: undefined,
        names: [],
      });
  });
});

describe('names of the API server', () => {
  it('are added to kubeadm’s own configuration, and nothing else is changed', () => {
    const more = withCertSANs(CONFIGURATION, ['api.example.com', '127.0.0.1', 'fd00::7']) ?? '';
    expect(certSANsOf(more)).toEqual(['127.0.0.1', 'apiserver.cluster.local', 'api.example.com', 'fd00::7']);
    const { apiServer, ...rest } = parse(more) as { apiServer: { extraArgs: unknown } };
    const { apiServer: before, ...was } = parse(CONFIGURATION) as typeof rest & { apiServer: { extraArgs: unknown } };
    expect(rest).toEqual(was);
    expect(apiServer.extraArgs).toEqual(before.extraArgs);
    expect(withCertSANs(more, ['api.example.com', 'apiserver.cluster.local'])).toBeUndefined();
  });

  it('are added where there were none', () => {
    expect(certSANsOf('kind: ClusterConfiguration\n')).toEqual([]);
    expect(certSANsOf(withCertSANs('kind: ClusterConfiguration\n', ['a.b']) ?? '')).toEqual(['a.b']);
  });

  it('come into a certificate with all that it had, made in a place of our own', () => {
    const text = phaseConfig(CONFIGURATION, {
      address: '10.0.0.3',
      node: 'm2',
      version: 'v1.20.2',
      names: ['m2', 'apiserver.cluster.local'],
    });
    const [init, cluster] = parseAllDocuments(text).map((document) => document.toJS() as Record<string, unknown>);
    expect(init).toMatchObject({
      apiVersion: 'kubeadm.k8s.io/v1beta2',
      kind: 'InitConfiguration',
      localAPIEndpoint: { advertiseAddress: '10.0.0.3' },
      nodeRegistration: { name: 'm2' },
    });
    expect(cluster).toMatchObject({
      certificatesDir: '/etc/kubernetes/slipway-certificates',
      apiServer: { certSANs: ['127.0.0.1', 'apiserver.cluster.local', 'm2'] },
      networking: { serviceSubnet: '10.96.0.0/22' },
    });
  });
});

describe('kubeadm is told how the cluster is configured, without asking it', () => {
  const documents = [{ kind: 'ClusterConfiguration', etcd: { external: { endpoints: ['https://10.0.0.9:2379'] } } }];
  const facts = { masters: ['10.0.0.2'], hasWorkers: true, certSANs: ['api.example.com'], documents };

  it.each(['v1.19.16', 'v1.29.2', 'v1.31.0'])('%s', (version) => {
    const { file } = certificatesConfig({ ...facts, version }, '10.0.0.2');
    const [init, cluster] = parseAllDocuments(file).map((document) => document.toJS() as Record<string, unknown>);
    expect(init).toMatchObject({ kind: 'InitConfiguration' });
    expect(init?.skipPhases).toBeUndefined();
    expect(cluster).toMatchObject({
      kubernetesVersion: version,
      etcd: { external: { endpoints: ['https://10.0.0.9:2379'] } },
      apiServer: { certSANs: expect.arrayContaining(['api.example.com', '10.0.0.2']) as unknown },
    });
  });
});

describe('a cluster describes itself', () => {
  it('by kubeadm’s configuration: what would bring about the same, and names that somebody gave', () => {
    const more = withCertSANs(CONFIGURATION, ['10.0.0.2', 'api.example.com']) ?? '';
    const { version, certSANs, configDocuments } = describeConfiguration(more, 'm1');
    expect(version).toBe('v1.20.2');
    expect(certSANs).toEqual(['10.0.0.2', 'api.example.com']);
    expect(configDocuments).toEqual([
      expect.objectContaining({
        kind: 'ClusterConfiguration',
        apiServer: { extraArgs: { 'authorization-mode': 'Node,RBAC' } },
        networking: { dnsDomain: 'cluster.local', podSubnet: '100.64.0.0/10', serviceSubnet: '10.96.0.0/22' },
      }),
    ]);
    expect(configDocuments[0]).not.toHaveProperty('kubernetesVersion');
  });

  it.each([
    '',
    'kind: ConfigMap',
    'apiVersion: kubeadm.k8s.io/v1beta2\nkind: ClusterConfiguration\nkubernetesVersion: ../../x\n',
  ])('not by %j', (text) => {
    expect(() => describeConfiguration(text, 'm1')).toThrow(expect.toSatisfy((error) => isSlipwayError(error)));
  });
});

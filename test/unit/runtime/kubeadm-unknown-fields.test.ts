import { describe, expect, it } from 'vitest';
import { unheededFields, unknownFields } from '../../../src/runtime/kubeadm/unknown-fields.js';

const document = (kind: string, said: Record<string, unknown>) => ({
  apiVersion: 'kubeadm.k8s.io/v1beta3',
  kind,
  ...said,
});

describe('fields that kubeadm does not know', () => {
  it('are told with their place and what may have been meant', () => {
    expect(
      unknownFields([
        document('ClusterConfiguration', {
          networking: { podSubnets: '10.0.0.0/8' },
          apiserver: {},
          apiServer: { certSans: ['a'], extraArgs: { anything: 'goes' } },
          zzz: 1,
        }),
        document('InitConfiguration', { nodeRegistration: { taint: [] } }),
      ]),
    ).toEqual([
      'ClusterConfiguration: networking.podSubnets is no field that kubeadm knows, and is passed over; did you mean podSubnet?',
      'ClusterConfiguration: apiserver is no field that kubeadm knows, and is passed over; did you mean apiServer?',
      'ClusterConfiguration: apiServer.certSans is no field that kubeadm knows, and is passed over; did you mean certSANs?',
      'ClusterConfiguration: zzz is no field that kubeadm knows, and is passed over',
      'InitConfiguration: nodeRegistration.taint is no field that kubeadm knows, and is passed over; did you mean taints?',
    ]);
  });

  it('are none in documents of every version, nor in documents of others', () => {
    expect(
      unknownFields([
        {
          ...document('ClusterConfiguration', { metadata: { name: 'x' }, useHyperKubeImage: false }),
          apiVersion: 'v1beta2',
        },
        document('ClusterConfiguration', { etcd: { local: { anything: 1 } }, dns: {}, proxy: { disabled: true } }),
        document('InitConfiguration', {
          patches: {},
          timeouts: {},
          localAPIEndpoint: { bindPort: 1 },
          bootstrapTokens: [],
        }),
        document('JoinConfiguration', {
          discovery: { tlsBootstrapToken: 'x' },
          controlPlane: null,
          nodeRegistration: 'no object',
        }),
        document('KubeletConfiguration', { anything: 1 }),
        document('constructor', { anything: 1 }),
        { anything: 1 },
      ]),
    ).toEqual([]);
  });
});

describe('fields that kubeadm of this version does not heed', () => {
  const later = [
    document('ClusterConfiguration', {
      encryptionAlgorithm: 'ECDSA-P256',
      certificateValidityPeriod: '87600h',
      caCertificateValidityPeriod: '876000h',
      scheduler: { extraEnvs: [] },
    }),
    document('InitConfiguration', {
      nodeRegistration: { imagePullPolicy: 'Never', imagePullSerial: false },
      timeouts: { controlPlaneComponentHealthCheck: '20m0s', tlsBootstrap: '9m0s' },
    }),
    document('JoinConfiguration', { discovery: { timeout: '9m0s', bootstrapToken: { token: 'from.theuser' } } }),
  ];
  const token = 'JoinConfiguration: discovery.bootstrapToken is passed over: each join gets a token of its own';

  it('are told', () => {
    expect(unheededFields('v1.20.2', later)).toEqual([
      'InitConfiguration: nodeRegistration.imagePullPolicy is passed over by kubeadm v1.20.2, and read from v1.22 on',
      'InitConfiguration: nodeRegistration.imagePullSerial is passed over by kubeadm v1.20.2, and read from v1.31 on',
      'InitConfiguration: timeouts.tlsBootstrap is passed over by kubeadm v1.20.2, and read from v1.31 on',
      'ClusterConfiguration: scheduler.extraEnvs is passed over by kubeadm v1.20.2, and read from v1.31 on',
      'ClusterConfiguration: encryptionAlgorithm is passed over by kubeadm v1.20.2, and read from v1.31 on',
      'ClusterConfiguration: certificateValidityPeriod is passed over by kubeadm v1.20.2, and read from v1.31 on',
      token,
    ]);
  });

  it('are none where it does', () => {
    expect(unheededFields('v1.31.0', later)).toEqual([token]);
    expect(unheededFields('v1.20.2', [])).toEqual([]);
  });
});

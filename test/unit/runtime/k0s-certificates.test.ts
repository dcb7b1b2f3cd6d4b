import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { wantedNames, withSans } from '../../../src/runtime/k0s/alt-names.js';
import { backUpInto } from '../../../src/runtime/k0s/backup.js';
import { parseCertificates } from '../../../src/runtime/k0s/certificates.js';
import { describe as describeConfig } from '../../../src/runtime/k0s/describe.js';
import { reviveKubeletStep } from '../../../src/runtime/k0s/kubelet-identity.js';
import { restartController } from '../../../src/runtime/k0s/restart.js';
import { certificateLine, makeCertificate } from '../../support/certificates.js';
import { stubHost } from '../../support/stub-host.js';

const CONFIG = `# of the plant
apiVersion: k0s.k0sproject.io/v1beta1
kind: ClusterConfig
metadata: { name: k0s }
spec:
  api:
    address: 10.0.0.2
    sans: [10.0.0.2, 10.0.0.3, api.example.com]
    extraArgs: { v: "2" }
  storage:
    type: etcd
    etcd: { peerAddress: 10.0.0.2 }
  network: { podCIDR: 100.64.0.0/10 }
`;

it('certificates are called as the files of k0s, and renewed by different people', async () => {
  const pem = await makeCertificate(new Date('2027-06-01T12:00:00Z'), ['API.example']);
  const files = ['pki/server.crt', 'pki/ca.crt', 'pki/front-proxy-ca.crt', 'pki/etcd/ca.crt', 'pki/etcd/server.crt'];
  const text = [...files, 'kubelet/pki/kubelet-client-current.pem']
    .map((file) => certificateLine(`/var/lib/k0s/${file}`, pem))
    .join('');
  const found = parseCertificates(text);
  expect(found.map(({ name, renewed }) => `${name} ${renewed}`)).toEqual([
    'server command',
    'ca never',
    'front-proxy-ca never',
    'etcd-ca never',
    'etcd-server command',
    'kubelet self',
  ]);
  expect(found[0]).toMatchObject({ expires: '2027-06-01T12:00:00.000Z', names: ['api.example'] });
});

describe('names for the API server', () => {
  it('are added to those of the configuration, and everything else stays', () => {
    const changed = withSans(CONFIG, ['api.example.com', 'b.example', '203.0.113.9']) ?? '';
    expect(changed).toMatch(/^# of the plant\n/);
    const before = parse(CONFIG);
    expect(parse(changed)).toEqual({
      ...before,
      spec: {
        ...before.spec,
        api: { ...before.spec.api, sans: ['10.0.0.2', '10.0.0.3', 'api.example.com', 'b.example', '203.0.113.9'] },
      },
    });
    expect(withSans(changed, ['b.example'])).toBeUndefined();
  });

  it('are wanted by documents of k0s, and by whoever added some', () => {
    const document = { apiVersion: 'k0s.k0sproject.io/v1beta1', kind: 'ClusterConfig' };
    const configDocuments = [
      { ...document, spec: { api: { sans: ['a.example', 'b.example'] } } },
      { apiVersion: 'v1', kind: 'Other', spec: { api: { sans: ['c.example'] } } },
    ];
    expect(wantedNames({ configDocuments, certSANs: ['b.example', 'd.example'] } as never)).toEqual([
      'b.example',
      'd.example',
      'a.example',
    ]);
  });

  it('come into a configuration that had none', () => {
    expect(parse(withSans('kind: ClusterConfig\n', ['a.example']) ?? '')).toEqual({
      kind: 'ClusterConfig',
      spec: { api: { sans: ['a.example'] } },
    });
  });

  it.each(['spec: { api: { sans: a.example } }', 'spec: ['])('are refused by %s', (text) => {
    expect(() => withSans(text, ['b.example'])).toThrow('/etc/k0s/k0s.yaml is no ClusterConfig');
  });
});

describe('a cluster that nothing is known of', () => {
  const facts = { version: 'v1.31.14+k0s.0', addresses: ['10.0.0.2', '10.0.0.3'], where: '10.0.0.2' };

  it('is described by what its controllers share', () => {
    expect(describeConfig(CONFIG, facts)).toEqual({
      version: 'v1.31.14+k0s.0',
      configDocuments: [
        {
          apiVersion: 'k0s.k0sproject.io/v1beta1',
          kind: 'ClusterConfig',
          spec: {
            api: { extraArgs: { v: '2' } },
            storage: { type: 'etcd', etcd: {} },
            network: { podCIDR: '100.64.0.0/10' },
          },
        },
      ],
      certSANs: ['api.example.com'],
    });
  });

  it('has the defaults of k0s without a file', () => {
    expect(describeConfig('', facts)).toEqual({ version: 'v1.31.14+k0s.0', configDocuments: [], certSANs: [] });
  });

  it('is not described by a file that is something else', () => {
    expect(() => describeConfig('kind: Pod', facts)).toThrow('10.0.0.2: /etc/k0s/k0s.yaml is no ClusterConfig');
  });
});

describe('the identity of a kubelet', () => {
  const context = { masters: [{ address: '10.0.0.2' }], workers: [] } as never;

  it.each([
    ['has ended', new Date(Date.now() - 86_400_000), false],
    ['goes on', new Date(Date.now() + 86_400_000), true],
  ])('that %s: nothing to do is %s %s', async (_what, ends, done) => {
    const line = certificateLine('/var/lib/k0s/kubelet/pki/kubelet-client-current.pem', await makeCertificate(ends));
    const host = stubHost('10.0.0.2', () => ({ stdout: line }));
    expect(await reviveKubeletStep(host, context).done()).toBe(done);
  });

  it('that is not there cannot have ended', async () => {
    expect(
      await reviveKubeletStep(
        stubHost('10.0.0.2', () => undefined),
        context,
      ).done(),
    ).toBe(true);
  });
});

describe('a backup', () => {
  const saying = (stderr: string, code: number) =>
    backUpInto(
      stubHost('10.0.0.2', (title) => (title === 'k0s backup' ? { code, stderr } : undefined)),
      '/b',
    );

  it('is there when k0s says nothing against it', async () => {
    expect(await saying('level=info msg="archive /b/k0s_backup.tar.gz created successfully"', 0)).toBeUndefined();
  });

  it('is none when k0s warns that the state is kept elsewhere, or refuses', async () => {
    const warning =
      'level=warning msg="backup is not supported for "mysql" kine data sources, it must be done manually"';
    expect(await saying(warning, 0)).toBe(warning);
    expect(await saying("Error: command 'k0s backup' does not support external etcd cluster", 1)).toContain('external');
  });

  it('that fails says why', async () => {
    await expect(saying('no space left on device', 1)).rejects.toThrow(/exit code 1:\nno space left on device/);
  });
});

it('a controller is started again by one job of systemd: whoever is killed meanwhile does not leave it stopped', async () => {
  const scripts: string[] = [];
  const addresses = ['10.0.0.2'];
  const condition = { type: 'Ready', status: 'True', reason: '', message: '' };
  const node = { name: 'm1', addresses, labels: {}, taints: [], marks: '', unschedulable: false, version: 'v1' };
  const master = stubHost('10.0.0.2', (title, script) => {
    scripts.push(script);
    if (title === 'kubectl get nodes') return { stdout: JSON.stringify({ ...node, conditions: [condition] }) };
    return title === 'asking the API server for /readyz' ? { stdout: 'ok' } : undefined;
  });
  await restartController(master);
  expect(scripts.some((script) => script.includes('systemctl restart k0scontroller.service'))).toBe(true);
  expect(scripts.some((script) => /k0s stop|systemctl stop/.test(script))).toBe(false);
});

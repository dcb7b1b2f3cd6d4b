import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { withTlsSans } from '../../../src/runtime/k3s/alt-names.js';
import { parseCertificates } from '../../../src/runtime/k3s/certificates.js';
import { configText, k3sConfig } from '../../../src/runtime/k3s/config.js';
import { describe as describeArgs, startedOf } from '../../../src/runtime/k3s/describe.js';
import { renewStep, reviveAgentStep } from '../../../src/runtime/k3s/renew.js';
import { snapshotCommand } from '../../../src/runtime/k3s/save-etcd.js';
import { certificateLine, makeCertificate } from '../../support/certificates.js';
import { stubHost } from '../../support/stub-host.js';

const DAY = 86_400_000;

it('certificates are called as the files of k3s, and renewed by different people', async () => {
  const pem = await makeCertificate(new Date('2027-06-01T12:00:00Z'));
  const lines = (files: readonly string[]): string =>
    files.map((file) => certificateLine(`/var/lib/rancher/k3s/${file}`, pem)).join('');
  const server = [
    'tls/serving-kube-apiserver',
    'tls/server-ca',
    'tls/server-ca.nochain',
    'tls/etcd/client',
    'tls/etcd/peer-ca',
  ];
  const agent = ['agent/client-ca', 'agent/client-kubelet'];
  const said = (text: string): string[] => parseCertificates(text).map(({ name, renewed }) => `${name} ${renewed}`);
  expect(said(lines([...server.map((file) => `server/${file}.crt`), ...agent.map((file) => `${file}.crt`)]))).toEqual([
    'serving-kube-apiserver command',
    'server-ca never',
    'server-ca.nochain never',
    'etcd-client command',
    'etcd-peer-ca never',
    'agent-client-kubelet self',
  ]);
  expect(said(lines(agent.map((file) => `${file}.crt`)))).toEqual(['client-ca never', 'agent-client-kubelet self']);
});

describe('names for the API server', () => {
  const facts = (certSANs: readonly string[]) => ({ certSANs, documents: [] });
  const ours = (certSANs: readonly string[]) =>
    configText(k3sConfig('server', '10.0.0.2', { begins: 'alone' }, facts(certSANs)));

  it('make a file of ours what it would be if they had been wanted from the start', () => {
    expect(withTlsSans(ours([]), ['b.example', 'a.example'])).toBe(ours(['a.example', 'b.example']));
    expect(withTlsSans(ours(['a.example']), ['a.example', '10.0.0.2'])).toBeUndefined();
  });

  it('are added to a file of somebody else, and everything else stays', () => {
    const changed = withTlsSans('# theirs\nselinux: true\ntls-san: b.example\n', ['a.example']) ?? '';
    expect(changed).toMatch(/^# theirs\n/);
    expect(parse(changed)).toEqual({ selinux: true, 'tls-san': ['a.example', 'b.example'] });
    expect(parse(withTlsSans('', ['a.example']) ?? '')).toEqual({ 'tls-san': ['a.example'] });
  });

  it('are refused by what has no settings', () => {
    expect(() => withTlsSans('- a', ['a.example'])).toThrow('has no settings of k3s');
  });
});

describe('a cluster that nothing is known of', () => {
  const facts = { version: 'v1.30.4+k3s1', addresses: ['10.0.0.2'], where: '10.0.0.2' };

  it('is described by what its nodes keep of how k3s was started', () => {
    const server = [
      ...['server', '--token', '********', '--cluster-init', '--disable', 'traefik', '--disable', 'servicelb'],
      ...[
        '--tls-san',
        '10.0.0.2',
        '--tls-san',
        'api.example.com,b.example',
        '--secrets-encryption',
        'true',
        '--node-ip',
        '10.0.0.2',
      ],
    ];
    const agent = ['agent', '--server', 'https://10.0.0.2:6443', '--kubelet-arg', 'max-pods=200', '-t', '********'];
    expect(describeArgs({ server: JSON.stringify(server), agent: JSON.stringify(agent) }, facts)).toEqual({
      version: 'v1.30.4+k3s1',
      configDocuments: [
        {
          apiVersion: 'slipway/v1',
          kind: 'K3sConfig',
          spec: {
            server: { disable: ['traefik', 'servicelb'], 'secrets-encryption': true },
            agent: { 'kubelet-arg': 'max-pods=200' },
          },
        },
      ],
      certSANs: ['api.example.com', 'b.example'],
    });
  });

  it('has the defaults of k3s when its nodes say nothing', () => {
    expect(describeArgs({ server: '[]', agent: '[]' }, facts)).toMatchObject({ configDocuments: [], certSANs: [] });
    expect(() => describeArgs({ server: '{', agent: '[]' }, facts)).toThrow('does not say how its k3s was started');
  });
});

it('says where it is told nonsense about how k3s was started', () => {
  expect(startedOf('{"name":"n1","args":"[]"}', 'm1')).toEqual({ name: 'n1', args: '[]' });
  for (const line of ['error: forbidden', '{"name":1}']) {
    expect(() => startedOf(line, 'm1')).toThrow(/^m1: kubectl's list of nodes cannot be read/);
  }
});

describe('a renewal', () => {
  it('that was killed after k3s had taken the old certificates away goes on with the start', async () => {
    const host = stubHost('10.0.0.2', (title) =>
      title === 'kubectl get nodes'
        ? {
            stdout: JSON.stringify({
              ...{ name: 'm1', addresses: ['10.0.0.2'], labels: {}, taints: [], marks: '', unschedulable: false },
              ...{ conditions: [{ type: 'Ready', status: 'True', reason: '', message: '' }], version: 'v1.30.4+k3s1' },
            }),
          }
        : title.startsWith('asking the API server')
          ? { stdout: 'ok' }
          : undefined,
    );
    const step = renewStep(host, { version: 'v1.30.4+k3s1' } as never);
    await expect(step.run(() => {})).rejects.toThrow('there are no certificates in /var/lib/rancher/k3s/server/tls');
    host.files.set('/var/lib/rancher/k3s/server/tls/server-ca.crt', 'CA');
    host.asked.length = 0;
    await step.run(() => {});
    expect(host.asked).toContain('systemctl start k3s.service');
    expect(host.asked).not.toContain('k3s certificate rotate');
  });

  it('is refused before anything is stopped where k3s has no command for it', async () => {
    const host = stubHost('10.0.0.2', () => undefined);
    const step = renewStep(host, { version: 'v1.20.13+k3s1' } as never);
    await expect(step.run(() => {})).rejects.toThrow('k3s v1.20.13+k3s1 has no "k3s certificate rotate"');
    expect(host.asked).toEqual([]);
  });

  it.each([
    [89, false],
    [91, true],
  ])('lets an agent be whose certificates end in %i days: %s', async (days, done) => {
    const pem = await makeCertificate(new Date(Date.now() + days * DAY + 60_000));
    const line = certificateLine('/var/lib/rancher/k3s/agent/client-kubelet.crt', pem);
    const context = { masters: [{ address: '10.0.0.2' }] } as never;
    expect(
      await reviveAgentStep(
        stubHost('10.0.0.3', () => ({ stdout: line })),
        context,
      ).done(),
    ).toBe(done);
    // a server looks after its own agent
    expect(
      await reviveAgentStep(
        stubHost('10.0.0.2', () => ({ stdout: line })),
        context,
      ).done(),
    ).toBe(true);
  });
});

it('a snapshot is saved by a command without a subcommand where there was none yet', () => {
  expect(snapshotCommand('v1.21.1+k3s1', ['--name', 'x'])).toEqual(['etcd-snapshot', '--name', 'x']);
  expect(snapshotCommand('v1.21.2+k3s1', ['--name', 'x'])).toEqual(['etcd-snapshot', 'save', '--name', 'x']);
});

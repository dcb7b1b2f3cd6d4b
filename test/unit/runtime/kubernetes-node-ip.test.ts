import { describe, expect, it } from 'vitest';
import { installService } from '../../../src/runtime/k0s/service.js';
import { wantedConfig } from '../../../src/runtime/k3s/files.js';
import { installProblem } from '../../../src/runtime/k3s/install-problem.js';
import { nodeIps } from '../../../src/runtime/kubernetes/node-ip.js';
import { stubHost } from '../../support/stub-host.js';

const host = (second: string) =>
  stubHost('10.0.0.2', (title) => (title.startsWith('looking for an address') ? { stdout: `${second}\n` } : undefined));
const document = (spec: object) => ({ apiVersion: 'slipway/v1', kind: 'K3sConfig', spec: { server: spec } });
const DUAL = document({ 'cluster-cidr': '10.50.0.0/16,fd50::/56', 'service-cidr': '10.51.0.0/16,fd51::/112' });

describe('a cluster with networks of both families', () => {
  it('is told two addresses of a node', async () => {
    expect(await nodeIps(host('fd00::2'), true)).toEqual(['10.0.0.2', 'fd00::2']);
    expect(await nodeIps(host('fd00::2'), false)).toEqual(['10.0.0.2']);
    const six = stubHost('fd00::2', (title) => ({ stdout: title.endsWith('IPv4') ? '10.0.0.2\n' : '' }));
    expect(await nodeIps(six, true)).toEqual(['fd00::2', '10.0.0.2']);
    await expect(nodeIps(host(''), true)).rejects.toThrow('host 10.0.0.2 has no address of IPv6 beside that one');
  });

  it('of k3s', async () => {
    const settings = (documents: readonly object[]) =>
      wantedConfig(host('fd00::2'), 'agent', { begins: 'alone' }, { certSANs: [], configDocuments: documents as [] });
    expect(await settings([DUAL])).toContain('node-ip:\n  - 10.0.0.2\n  - fd00::2\n');
    expect(await settings([])).toContain('node-ip: 10.0.0.2\n');
  });

  it('of k0s', async () => {
    const scripts: string[] = [];
    const node = stubHost('10.0.0.2', (title, script) => {
      scripts.push(script);
      return title.startsWith('looking for an address') ? { stdout: 'fd00::2\n' } : undefined;
    });
    const options = { address: node.address, role: 'worker', hasWorkers: true, token: false, dualStack: true } as const;
    await installService(node, 'v1.31.14+k0s.0', options);
    expect(scripts.at(-1)).toContain('--kubelet-extra-args=--node-ip=10.0.0.2,fd00::2');
  });
});

it('k3s with networks that it would refuse at its start is told of by the plan', () => {
  const problem = (...configDocuments: object[]) =>
    installProblem({ version: 'v1.30.4+k3s1', masters: [], configDocuments } as unknown as Parameters<
      typeof installProblem
    >[0]);
  expect(problem()).toBeUndefined();
  expect(problem(DUAL)).toBeUndefined();
  expect(problem(document({ 'cluster-cidr': '10.50.0.0/16,fd50::/56' }))?.problem).toContain(
    'service-cidr (10.43.0.0/16)',
  );
});

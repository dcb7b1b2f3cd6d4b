import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect, it } from 'vitest';
import { findTraces } from '../../../src/install/cluster-hosts/host-owner.js';
import { stubHost } from '../../support/stub-host.js';
import { tempDirectory } from '../../support/temp.js';

it.each([
  '/etc/systemd/system/k3s.service.env',
  '/etc/systemd/system/k3s-agent.service.env',
  '/etc/rancher/k3s/config.yaml.d/10-other.yaml',
])('%s, by which k3s would take the settings of somebody else, is found on a host', async (path) => {
  const root = tempDirectory('slipway-traces-');
  const host = stubHost('10.0.0.2', (_title, script) => ({
    stdout: execFileSync('sh', ['-c', script.replaceAll(/(?<= )\/(?=etc\/(?:rancher|systemd))/g, `${root}/`)], {
      encoding: 'utf8',
    }),
  }));
  expect((await findTraces(host, '/nowhere')).kubernetes.filter((one) => one.startsWith(root))).toEqual([]);
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), 'K3S_URL=https://10.9.9.9:6443');
  expect((await findTraces(host, '/nowhere')).kubernetes).toContain(join(root, path));
});

import { describe, expect, it } from 'vitest';
import { isSlipwayError } from '../../../src/base/errors.js';
import { containerdFile } from '../../../src/runtime/k0s/registry-settings.js';
import { installArgs } from '../../../src/runtime/k0s/service.js';
import { k0sUpgradeProblem } from '../../../src/runtime/k0s/upgrade.js';
import { isKubeletOf, isSameVersion, type K0sAbilities, k0sAbilities } from '../../../src/runtime/k0s/versions.js';

describe('what a version can do', () => {
  it.each<[string, keyof K0sAbilities, K0sAbilities[keyof K0sAbilities]]>([
    ['v1.23.17+k0s.1', 'forceInstall', false],
    ['v1.27.3+k0s.0', 'forceInstall', false],
    ['v1.27.4+k0s.0', 'forceInstall', true],
    ['v1.23.17+k0s.1', 'controlNodes', false],
    ['v1.24.0+k0s.0', 'controlNodes', true],
    ['v1.27.0+k0s.0', 'containerdDropIns', false],
    ['v1.27.1+k0s.0', 'containerdDropIns', true],
    ['v1.28.15+k0s.0', 'nodeLocalLoadBalancing', false],
    ['v1.29.0-rc.1+k0s.0', 'nodeLocalLoadBalancing', true],
    ['v1.35.7+k0s.0', 'containerdConfig', 2],
    ['v1.36.3+k0s.2', 'containerdConfig', 3],
    ['v1.100.0+k0s.0', 'etcdMemberObjects', true],
  ])('%s: %s is %s', (version, ability, value) => {
    expect(k0sAbilities(version)[ability]).toBe(value);
  });

  it.each([
    ['v1.22.17+k0s.0', 'E_UNSUPPORTED', /older than v1\.23\.0/],
    ['latest', 'E_INVALID_METADATA', /"latest" is not a version of k0s/],
  ] as const)('%s is refused', (version, code, message) => {
    try {
      k0sAbilities(version);
      expect.unreachable();
    } catch (error) {
      expect(isSlipwayError(error, code) && error.message).toMatch(message);
    }
  });

  it('has a kubelet of the same release, which does not know the build', () => {
    expect(isKubeletOf('v1.31.14+k0s', 'v1.31.14+k0s.1')).toBe(true);
    expect(isKubeletOf('v1.31.13+k0s', 'v1.31.14+k0s.0')).toBe(false);
    expect(isKubeletOf('', 'v1.31.14+k0s.0')).toBe(false);
  });

  it('two builds of a release are two versions', () => {
    expect(isSameVersion('v1.31.14+k0s.0\n', '1.31.14+k0s.0')).toBe(true);
    expect(isSameVersion('v1.31.14+k0s.0', 'v1.31.14+k0s.1')).toBe(false);
  });
});

describe('an upgrade', () => {
  it.each([
    ['v1.30.1+k0s.0', 'v1.31.2+k0s.0', undefined],
    ['v1.31.1+k0s.0', 'v1.31.1+k0s.1', undefined],
    ['v1.31.2+k0s.0', 'v1.31.1+k0s.0', undefined],
    ['v1.29.1+k0s.0', 'v1.31.2+k0s.0', /no minor version may be skipped/],
    ['v1.31.1+k0s.0', 'v1.30.2+k0s.0', /v1\.31\.1\+k0s\.0 cannot go back to v1\.30\.2\+k0s\.0/],
  ])('from %s to %s: %s', (from, to, problem) => {
    if (problem === undefined) expect(k0sUpgradeProblem(from, to)).toBeUndefined();
    else expect(k0sUpgradeProblem(from, to)).toMatch(problem);
  });
});

describe('the service', () => {
  it('of a controller is that of a node as well, tainted where there are workers', () => {
    expect(installArgs({ address: '10.0.0.2', role: 'controller', hasWorkers: true, token: false })).toEqual([
      'install',
      'controller',
      '--config=/etc/k0s/k0s.yaml',
      '--enable-worker',
      '--kubelet-extra-args=--node-ip=10.0.0.2',
    ]);
    const alone = installArgs({ address: '10.0.0.2', role: 'controller', hasWorkers: false, token: true });
    expect(alone).toContain('--no-taints');
    expect(alone).toContain('--token-file=/etc/k0s/k0stoken');
  });

  it('of a worker has a token and no configuration', () => {
    expect(installArgs({ address: '10.0.0.3', role: 'worker', hasWorkers: true, token: true })).toEqual([
      'install',
      'worker',
      '--token-file=/etc/k0s/k0stoken',
      '--kubelet-extra-args=--node-ip=10.0.0.3',
    ]);
  });
});

describe('the settings of containerd', () => {
  it.each([
    ['v1.26.1+k0s.0', '/etc/k0s/containerd.toml', 'version = 2', 'io.containerd.grpc.v1.cri'],
    ['v1.31.1+k0s.0', '/etc/k0s/containerd.d/slipway-registry.toml', 'version = 2', 'io.containerd.grpc.v1.cri'],
    ['v1.36.1+k0s.0', '/etc/k0s/containerd.d/slipway-registry.toml', 'version = 3', 'io.containerd.cri.v1.images'],
  ])('of %s are %s', (version, path, format, plugin) => {
    const file = containerdFile(version);
    expect(file.path).toBe(path);
    expect(file.content).toContain(`\n${format}\n`);
    expect(file.content).toContain(`[plugins."${plugin}".registry]\n  config_path = "/etc/containerd/certs.d"\n`);
  });

  it('keep oom scores where nobody may lower them', () => {
    expect(containerdFile('v1.31.1+k0s.0', true).content).toContain(
      '[plugins."io.containerd.grpc.v1.cri"]\n  restrict_oom_score_adj = true\n',
    );
    expect(containerdFile('v1.36.1+k0s.0', true).content).toContain(
      '[plugins."io.containerd.cri.v1.runtime"]\n  restrict_oom_score_adj = true\n',
    );
    expect(containerdFile('v1.31.1+k0s.0').content).not.toContain('oom');
  });
});

import { describe, expect, it } from 'vitest';
import { SlipwayError } from '../../../src/base/errors.js';
import type { HostFacts } from '../../../src/hosts/host.js';
import { type ClusterTraces, parseTraces } from '../../../src/install/cluster-hosts/host-owner.js';
import {
  type HostFinding,
  NEEDED_PROGRAMS,
  type PreflightRules,
  preflight,
  preflightError,
} from '../../../src/install/plan/preflight.js';
import { podRange, rangeContains } from '../../../src/install/spec/cidr.js';
import type { HostSpec } from '../../../src/install/spec/cluster-spec.js';
import { chooseClusterRuntime } from '../../../src/runtime/choose.js';

const RULES: PreflightRules = {
  missingPrograms: [],
  hostPrograms: ['conntrack'],
  clusterId: 'id-1',
  clusterName: 'prod',
  architecture: 'amd64',
  ports: ({ roles }) => (roles.includes('master') ? [6443, 10250] : [10250]),
  diskBytes: () => 1_000_000_000,
  podCIDR: '100.64.0.0/10',
  serviceCIDR: '10.96.0.0/22',
};

const spec = (address: string, role: string): HostSpec => ({
  address,
  roles: [role],
  ssh: { user: 'root', port: 22 },
  env: {},
});
const facts = (name: string, over: Partial<HostFacts> = {}): HostFacts => ({
  hostname: name,
  machineId: `id-of-${name}`,
  architecture: 'amd64',
  osName: 'Debian',
  kernel: '6.1',
  clockSkewMs: 200,
  cpus: 2,
  memoryBytes: 4e9,
  diskFreeBytes: 50e9,
  listeningPorts: [22],
  programs: [...NEEDED_PROGRAMS, 'conntrack'],
  uid: 0,
  systemd: true,
  swapOn: false,
  ...over,
});
const traces = (address: string, over: Partial<ClusterTraces> = {}): ClusterTraces => ({
  owners: [],
  kubernetes: [],
  addresses: ['127.0.0.1', address],
  mayLowerOomScore: true,
  ...over,
});
const found = (
  address: string,
  role: string,
  name: string,
  over: Partial<HostFacts> = {},
  trace: Partial<ClusterTraces> = {},
): HostFinding => ({ host: spec(address, role), facts: facts(name, over), traces: traces(address, trace) });

const GOOD = [found('10.0.0.2', 'master', 'm1'), found('10.0.0.3', 'node', 'n1')];
const problems = (...findings: HostFinding[]) =>
  preflight(findings, RULES).problems.map(({ host, problem }) => `${host ?? '-'}: ${problem}`);

describe('preflight', () => {
  it('lets good hosts pass', () => {
    expect(preflight(GOOD, RULES)).toEqual({ problems: [], warnings: [], notes: [] });
  });

  it('warns once of what Kubernetes needs and hosts lack: the scripts of an image may install it', () => {
    const bare = { programs: [...NEEDED_PROGRAMS] };
    const { problems: refused, warnings } = preflight(
      [found('10.0.0.2', 'master', 'm1', bare), found('10.0.0.3', 'node', 'n1'), found('10.0.0.4', 'node', 'n2', bare)],
      RULES,
    );
    expect(refused).toEqual([]);
    expect(warnings).toEqual([
      expect.stringMatching(/^10\.0\.0\.2, 10\.0\.0\.4: no conntrack, which Kubernetes needs/),
    ]);
  });

  it.each<[string, Partial<HostFacts>, Partial<ClusterTraces>, RegExp]>([
    ['architecture', { architecture: 'arm64' }, {}, /architecture is arm64, the image is for amd64/],
    ['clock', { clockSkewMs: -95_000 }, {}, /clock is 95 s behind/],
    ['ports', { listeningPorts: [22, 6443, 10250] }, {}, /ports 6443, 10250 already in use/],
    ['disk', { diskFreeBytes: 5e8 }, {}, /500MB of disk are free, 1GB are needed/],
    ['root', { uid: 1000 }, {}, /uid 1000, not as root/],
    ['systemd', { systemd: false }, {}, /systemd does not run/],
    ['programs', { programs: ['tar'] }, {}, /missing programs: bash, gzip/],
    ['hostname', { hostname: 'My_Host' }, {}, /"My_Host" cannot name a node/],
    ['kubernetes', {}, { kubernetes: ['/etc/kubernetes/admin.conf'] }, /Kubernetes on it that Slipway did not install/],
    ['other cluster', {}, { owners: [{ cluster: 'test', id: 'id-2' }] }, /belongs to the cluster test/],
    ['same name', {}, { owners: [{ cluster: 'prod', id: 'id-2' }] }, /another cluster that is named prod too/],
    ['address', {}, { addresses: ['192.168.1.4'] }, /none of its interfaces has the address 10\.0\.0\.2/],
  ])('refuses: %s', (_name, fact, trace, expected) => {
    const list = problems(found('10.0.0.2', 'master', 'm1', fact, trace));
    expect(list).toHaveLength(1);
    expect(list[0]).toMatch(expected);
  });

  it('refuses an image without the programs of its runtime, whatever the hosts are', () => {
    const { problems } = preflight([], { ...RULES, missingPrograms: ['bin/kubeadm'] });
    expect(problems).toMatchObject([{ host: undefined, problem: 'the image has no bin/kubeadm' }]);
  });

  it('refuses what was found wrong with the image before', () => {
    const wrong = { host: undefined, problem: 'needs another Kubernetes', hint: 'build it anew' };
    const report = preflight([], { ...RULES, image: { problems: [wrong], warnings: ['no helm'] } });
    expect(report).toMatchObject({ problems: [wrong], warnings: ['no helm'] });
  });

  it('refuses hosts that share a name or a machine-id, and addresses inside the pods’ network', () => {
    expect(
      problems(
        found('10.0.0.2', 'master', 'm1'),
        found('10.0.0.3', 'node', 'm1', { machineId: 'x' }),
        found('10.0.0.4', 'node', 'n2', { machineId: 'x' }),
      ),
    ).toEqual([
      '-: 10.0.0.2 and 10.0.0.3 have the same hostname m1',
      '-: 10.0.0.3 and 10.0.0.4 have the same machine-id x',
    ]);
    expect(problems(found('100.64.9.9', 'master', 'm1'))[0]).toContain('inside the network of pods, 100.64.0.0/10');
  });

  it('refuses the name and the machine-id of a host of the cluster that is down', () => {
    const absent = [{ address: '10.0.0.9', hostname: 'n9', machineId: 'id-of-n9' }];
    const report = preflight([found('10.0.0.2', 'master', 'm1'), found('10.0.0.3', 'node', 'n9', { machineId: 'x' })], {
      ...RULES,
      absent,
    });
    expect(report.problems).toEqual([
      {
        host: '10.0.0.3',
        problem: '10.0.0.3 has the same hostname n9 as 10.0.0.9, which belongs to the cluster and does not answer',
        hint: expect.stringContaining('slipway delete --cluster prod --nodes 10.0.0.9'),
      },
    ]);
    const clone = preflight([found('10.0.0.3', 'node', 'n3', { machineId: 'id-of-n9' })], { ...RULES, absent });
    expect(clone.problems).toMatchObject([
      { problem: expect.stringContaining('the same machine-id id-of-n9 as 10.0.0.9') },
    ]);
    // What was never seen has neither.
    const unseen = [{ address: '10.0.0.9', hostname: '', machineId: '' }];
    const blank = preflight([found('10.0.0.3', 'node', 'n3', { machineId: '' })], { ...RULES, absent: unseen });
    expect(blank.problems).toEqual([]);
  });

  it('refuses a registry on a port of Kubernetes', () => {
    const report = preflight([found('10.0.0.2', 'master', 'm1')], { ...RULES, ports: () => [6443, 10250, 6443] });
    expect(report.problems).toMatchObject([
      { host: '10.0.0.2', problem: 'port 6443 is to be that of the registry, and Kubernetes needs it itself' },
    ]);
  });

  it('knows the names that hosts get before they become nodes', () => {
    const rules = {
      ...RULES,
      hostnames: new Map([
        ['10.0.0.2', 'm1'],
        ['10.0.0.3', 'n1'],
        ['10.0.0.4', 'n2'],
      ]),
    };
    const told = (...findings: HostFinding[]): string[] =>
      preflight(findings, rules).problems.map(({ problem }) => problem);
    const clones = [
      found('10.0.0.2', 'master', 'localhost'),
      found('10.0.0.3', 'node', 'localhost', { machineId: 'x' }),
    ];
    expect(told(...clones)).toEqual([]);
    expect(problems(...clones)).toHaveLength(3);
    // a node keeps the name that it has
    const ours = { owners: [{ cluster: 'prod', id: 'id-1' }], kubernetes: ['/etc/kubernetes/kubelet.conf'] };
    expect(told(found('10.0.0.3', 'node', 'm1'), found('10.0.0.4', 'node', 'n1', {}, ours))).toEqual([
      '10.0.0.3 and 10.0.0.4 have the same hostname n1',
    ]);
  });

  it('lets a host pass that is this cluster’s already, with its ports and files', () => {
    const ours = { owners: [{ cluster: 'prod', id: 'id-1' }], kubernetes: ['/etc/kubernetes/kubelet.conf'] };
    expect(problems(found('10.0.0.2', 'master', 'm1', { listeningPorts: [6443], diskFreeBytes: 1 }, ours))).toEqual([]);
  });

  it.each([
    ['kubeadm', '/etc/kubernetes/kubelet.conf'],
    ['k3s', '/var/lib/rancher/k3s/agent'],
    ['k0s', '/etc/systemd/system/k0sworker.service'],
  ])('refuses a host with what is left of %s, whichever runtime is to come', (_runtime, path) => {
    const left = found('10.0.0.1', 'master', 'm1', {}, { kubernetes: [path] });
    expect(preflight([left], RULES).problems.map(({ problem }) => problem)).toEqual([
      `there is Kubernetes on it that Slipway did not install: ${path}`,
    ]);
  });

  it.each(['k0s', 'k3s', 'k8s'] as const)('refuses a host where the port of the API is taken, for %s', async (name) => {
    const { ports } = await chooseClusterRuntime({ ClusterRuntime: name });
    const rules = { ...RULES, ports: (host: HostSpec) => ports(host.roles.includes('master') ? 'master' : 'worker') };
    const taken = (role: string) => found('10.0.0.1', role, 'm1', { listeningPorts: [22, 6443] });
    expect(preflight([taken('master')], rules).problems).toEqual([
      expect.objectContaining({ host: '10.0.0.1', problem: 'port 6443 already in use' }),
    ]);
    expect(preflight([taken('node')], rules).problems.filter(({ host }) => host !== undefined)).toEqual([]);
  });

  it('tells everything about every host at once, unreachable ones included', () => {
    const report = preflight(
      [
        {
          host: spec('10.0.0.9', 'node'),
          failure: new SlipwayError('E_HOST_UNREACHABLE', 'host 10.0.0.9: no route', { hint: 'is it on?' }),
        },
        found('10.0.0.2', 'master', 'm1', { architecture: 'arm64', systemd: false }),
      ],
      RULES,
    );
    const error = preflightError(report.problems);
    expect(error.code).toBe('E_PREFLIGHT');
    expect(error.message).toMatch(/^3 problems; nothing was changed on any host\n/);
    expect(error.message).toContain('host 10.0.0.9: no route\n    is it on?');
    expect(error.message).toContain('10.0.0.2: systemd does not run');
  });

  it('says of a host that a running cluster misses that it may also leave', () => {
    const hint = (running: boolean, role: 'master' | 'node', code: 'E_HOST_UNREACHABLE' | 'E_HOST_AUTH'): string =>
      preflight([{ host: spec('10.0.0.9', role), failure: new SlipwayError(code, 'no', { hint: 'is it on?' }) }], {
        ...RULES,
        running,
      }).problems.find(({ host }) => host === '10.0.0.9')?.hint ?? '';
    expect(hint(true, 'master', 'E_HOST_UNREACHABLE')).toBe(
      'is it on?; or take it out of the cluster: slipway delete --cluster prod --masters 10.0.0.9',
    );
    expect(hint(true, 'node', 'E_HOST_UNREACHABLE')).toContain('--nodes 10.0.0.9');
    expect(hint(false, 'master', 'E_HOST_UNREACHABLE')).toBe('is it on?');
    expect(hint(true, 'master', 'E_HOST_AUTH')).toBe('is it on?');
  });

  it('warns of an even number of masters, and notes what a host cannot do', () => {
    const report = preflight(
      [found('10.0.0.2', 'master', 'm1', {}, { mayLowerOomScore: false }), found('10.0.0.3', 'master', 'm2')],
      RULES,
    );
    expect(report.warnings.join()).toContain('2 masters: an even number');
    expect(report.notes).toEqual(['10.0.0.2: no CAP_SYS_RESOURCE; containers keep the oom scores they are given']);
  });
});

it('reads what a host says about clusters', () => {
  const text = `owner={"cluster":"prod","id":"id-1"}
owner=broken
kubernetes=/etc/kubernetes/admin.conf
address=127.0.0.1
address=10.0.0.2
capabilities=000001fffeffffff
`;
  expect(parseTraces(text)).toEqual({
    owners: [
      { cluster: 'prod', id: 'id-1' },
      { cluster: 'unknown', id: 'unreadable' },
    ],
    kubernetes: ['/etc/kubernetes/admin.conf'],
    addresses: ['127.0.0.1', '10.0.0.2'],
    mayLowerOomScore: false,
  });
  expect(parseTraces('capabilities=000001ffffffffff\n').mayLowerOomScore).toBe(true);
});

it('knows networks', () => {
  expect(rangeContains('10.0.0.0/8', '10.255.0.1')).toBe(true);
  expect(rangeContains('10.0.0.0/8,fd00::/8', 'fd12::1')).toBe(true);
  expect(rangeContains('10.0.0.0/8', '11.0.0.1')).toBe(false);
  expect(rangeContains('nonsense', '11.0.0.1')).toBe(false);
  expect(rangeContains('10.0.0.0/99', '10.0.0.1')).toBe(false);
  expect(podRange('100.64.0.0/10', 0)).toBe('100.64.0.0/24');
  expect(podRange('100.64.0.0/10', 300)).toBe('100.65.44.0/24');
  expect(podRange('10.244.0.0/24', 1)).toBeUndefined();
  expect(podRange('fd00::/48', 0)).toBeUndefined();
});

import { describe, expect, it } from 'vitest';
import { digestOf } from '../../../src/image/digest.js';
import {
  leavingWarnings,
  networkProblems,
  staleProblems,
  upgradeProblems,
} from '../../../src/install/change-problems.js';
import type { HostSetup } from '../../../src/install/cluster-hosts/host-setup.js';
import type { ClusterState } from '../../../src/install/state/cluster-state.js';
import type { InstallWork } from '../../../src/install/work.js';
import { networksOf } from '../../../src/runtime/kubeadm/config.js';

const OLD = digestOf('old');
const NEW = digestOf('new');
const setup = (image: string, version: string): HostSetup => ({ inputs: digestOf(''), image, version });
const host = (address: string, role: string, index: number) => ({
  address,
  roles: [role],
  hostname: `h${index}`,
  machineId: `m${index}`,
  ssh: { user: 'root', port: 22 },
  env: {},
  index,
});
const before = {
  name: 'prod',
  phase: 'running' as const,
  image: { name: 'k8s:v1.20.2', digest: OLD },
  version: 'v1.20.2',
  hosts: [host('10.0.0.2', 'master', 0), host('10.0.0.3', 'node', 1)],
};

describe('a cluster that was changed from another machine', () => {
  it('is told by how its nodes were set up, before an old image comes back to them', () => {
    const setups = new Map([
      ['10.0.0.2', setup(NEW, 'v1.20.3')],
      ['10.0.0.3', setup(OLD, 'v1.20.2')],
      ['10.0.0.4', undefined],
    ]);
    expect(staleProblems(setups, before)).toEqual([
      {
        host: undefined,
        problem: expect.stringMatching(
          /^10\.0\.0\.2 set up from another image \(v1\.20\.3, sha256:.* than is known here of cluster prod, k8s:v1\.20\.2/,
        ),
        hint: expect.stringContaining('slipway gen --cluster prod --masters 10.0.0.2 --force'),
      },
    ]);
  });

  it('is not one that is as known, on its way to another image, not up yet, or new', () => {
    const same = new Map([['10.0.0.2', setup(OLD, 'v1.20.2')]]);
    const other = new Map([['10.0.0.2', setup(NEW, 'v1.20.3')]]);
    expect(staleProblems(same, before)).toEqual([]);
    expect(staleProblems(other, { ...before, changing: 'upgrade' })).toEqual([]);
    expect(staleProblems(other, { ...before, phase: 'installing' })).toEqual([]);
    expect(staleProblems(other, undefined)).toEqual([]);
  });
});

it('networks of a cluster that is up stay as they are', () => {
  const documents = (podSubnet: string) => [{ kind: 'ClusterConfiguration', networking: { podSubnet } }];
  const prepared = (podSubnet: string) =>
    ({
      driver: { networks: networksOf },
      networks: networksOf(documents(podSubnet)),
      spec: { name: 'prod' },
    }) as unknown as Parameters<typeof networkProblems>[0];
  const up = { phase: 'running', notKept: [], documents: documents('10.50.0.0/16') } as unknown as ClusterState;
  expect(networkProblems(prepared('10.50.0.0/16'), up)).toEqual([]);
  expect(networkProblems(prepared('10.60.0.0/16'), up)).toMatchObject([
    { problem: 'the network of pods of cluster prod is 10.50.0.0/16, and would be 10.60.0.0/16' },
  ]);
  expect(networkProblems(prepared('10.60.0.0/16'), { ...up, phase: 'installing' })).toEqual([]);
  expect(networkProblems(prepared('10.60.0.0/16'), undefined)).toEqual([]);
});

describe('an upgrade whose one master does not answer', () => {
  const problems = (stopped: boolean | undefined, changing?: 'upgrade') => {
    const driver = {
      ...(stopped === undefined ? {} : { stopped: async () => stopped }),
      nodeUnit: () => 'k0scontroller.service',
      upgradeProblem: async () => undefined,
      nodes: async () => {
        throw new Error('the API server is not there to be asked');
      },
    };
    const work = { driver, image: { digest: NEW }, entry: { address: '10.0.0.2' }, hosts: [], setups: new Map() };
    const state = { ...before, ...(changing === undefined ? {} : { changing }) } as unknown as ClusterState;
    return upgradeProblems({ ...work, changing: true } as unknown as InstallWork, state, false);
  };

  it('goes on where it has itself stopped it', async () => {
    expect(await problems(true, 'upgrade')).toEqual([]);
  });

  it('is refused where it was another trouble', async () => {
    const refused = [expect.objectContaining({ problem: expect.stringContaining('no API server answers') })];
    expect(await problems(false, 'upgrade')).toEqual(refused);
    expect(await problems(undefined, 'upgrade')).toEqual(refused);
    expect(await problems(true)).toEqual(refused);
  });
});

it('a host that leaves and does not answer is told, though no step is about it', () => {
  const leaving = [
    { address: '10.0.0.8', traces: {} },
    { address: '10.0.0.9', traces: undefined },
  ];
  const work = (removal: unknown) => ({ spec: { name: 'prod' }, removal }) as unknown as InstallWork;
  expect(leavingWarnings(work({ leaving }))).toEqual([
    '10.0.0.9 leaves cluster prod; it does not answer, and is not cleaned',
  ]);
  expect(leavingWarnings(work(undefined))).toEqual([]);
});

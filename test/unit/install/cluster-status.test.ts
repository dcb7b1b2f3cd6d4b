import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { SlipwayError } from '../../../src/base/errors.js';
import type { Host } from '../../../src/hosts/host.js';
import type { ClusterAnswer } from '../../../src/install/cluster-hosts/ask-cluster.js';
import { type HostAnswer, statusOf } from '../../../src/install/cluster-status.js';
import type { ClusterState } from '../../../src/install/state/cluster-state.js';
import type { ClusterNode } from '../../../src/runtime/driver.js';
import { putClusterState } from '../../support/cluster-state.js';

let root: string;
let state: ClusterState;
beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), 'slipway-status-'));
  state = await putClusterState(root, 'edge', { '10.0.0.2': 'master', '10.0.0.3': 'node', '10.0.0.4': 'node' });
});
afterAll(() => rmSync(root, { recursive: true }));

const node = (address: string, over: Partial<ClusterNode> = {}): ClusterNode => ({
  name: `node-${address.at(-1)}`,
  addresses: [address, `node-${address.at(-1)}`],
  ready: true,
  unschedulable: false,
  controlPlane: false,
  version: 'v1.20.2',
  condition: 'Ready',
  ...over,
});
const answered = (...nodes: ClusterNode[]): ClusterAnswer => ({ master: { address: '10.0.0.2' } as Host, nodes });
const ours: HostAnswer = { owner: { cluster: 'edge', id: 'id-of-edge' } };
const gone: HostAnswer = {
  failure: new SlipwayError(
    'E_HOST_UNREACHABLE',
    'host 10.0.0.4: cannot be reached over SSH: port 22: no answer within 15 s, while running looking whose the host is',
  ),
};
const standings = (answers: Record<string, HostAnswer>, cluster: ClusterAnswer): string[] =>
  statusOf(
    state,
    new Map(Object.entries({ '10.0.0.2': ours, '10.0.0.3': ours, '10.0.0.4': ours, ...answers })),
    cluster,
  ).hosts.map(({ status, why }) => (why === null ? status : `${status}: ${why}`));

describe('the status of a cluster', () => {
  it('says of each host what its node says', () => {
    const { master, problem, hosts, strangers } = statusOf(
      state,
      new Map(state.hosts.map(({ address }) => [address, ours])),
      answered(node('10.0.0.2'), node('10.0.0.3'), node('10.0.0.4'), node('10.0.0.9')),
    );
    expect({ master, problem, strangers }).toEqual({ master: '10.0.0.2', problem: null, strangers: ['node-9'] });
    expect(hosts[1]).toEqual({
      address: '10.0.0.3',
      roles: ['node'],
      node: 'node-3',
      version: 'v1.20.2',
      status: 'Ready',
      why: null,
    });
    expect(
      standings(
        {},
        answered(node('10.0.0.2'), node('10.0.0.3', { ready: false, condition: 'KubeletNotReady: no cni' })),
      ),
    ).toEqual(['Ready', 'NotReady: KubeletNotReady: no cni', 'not joined: it was begun and is no node yet']);
  });

  it('says of a host that does not answer why, and what the cluster says of it', () => {
    const down = node('10.0.0.4', {
      ready: false,
      condition: 'NodeStatusUnknown: Kubelet stopped posting node status.',
    });
    expect(standings({ '10.0.0.4': gone }, answered(node('10.0.0.2'), node('10.0.0.3'), down))[2]).toBe(
      'unreachable: cannot be reached over SSH: port 22: no answer within 15 s; the cluster says NotReady (NodeStatusUnknown: Kubelet stopped posting node status.)',
    );
    expect(standings({ '10.0.0.4': gone }, answered())[2]).toBe(
      'unreachable: cannot be reached over SSH: port 22: no answer within 15 s',
    );
  });

  it('knows a host that is empty, or of another cluster', () => {
    expect(
      standings(
        { '10.0.0.3': { owner: undefined }, '10.0.0.4': { owner: { cluster: 'dock', id: '7' } } },
        answered(node('10.0.0.2')),
      ).slice(1),
    ).toEqual(['not joined: nothing of edge is on it', 'not joined: it belongs to another cluster (dock, 7)']);
  });

  it('claims nothing when no master answers', () => {
    expect(standings({}, { master: undefined, why: 'no master can be reached' })).toEqual(
      Array(3).fill('unknown: no master answers'),
    );
  });
});

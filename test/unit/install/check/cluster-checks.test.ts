import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Host } from '../../../../src/hosts/host.js';
import { launchFindings, nodeFindings } from '../../../../src/install/check/cluster-checks.js';
import { type OpenPod, parsePods, podFindings } from '../../../../src/install/check/pods.js';
import type { ClusterState } from '../../../../src/install/state/cluster-state.js';
import type { ClusterNode } from '../../../../src/runtime/driver.js';
import { putClusterState } from '../../../support/cluster-state.js';

let root: string;
let state: ClusterState;
beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), 'slipway-check-'));
  state = await putClusterState(root, 'edge', { '10.0.0.2': 'master', '10.0.0.3': 'node' });
});
afterAll(() => rmSync(root, { recursive: true }));

const master = { address: '10.0.0.2' } as Host;
const node = (address: string, over: Partial<ClusterNode> = {}): ClusterNode => ({
  name: `n${address.at(-1)}`,
  addresses: [address],
  ready: true,
  unschedulable: false,
  controlPlane: false,
  version: 'v1.20.2',
  condition: 'Ready',
  ...over,
});
const found = (...nodes: ClusterNode[]): string[] =>
  nodeFindings(state, { master, nodes }).map(({ host, what }) => `${host}: ${what}`);

describe('the nodes of a cluster', () => {
  it('are Ready, and one a host', () => {
    expect(found(node('10.0.0.2'), node('10.0.0.3'))).toEqual([]);
    expect(found(node('10.0.0.2', { ready: false }), node('10.0.0.9'))).toEqual([
      '10.0.0.2: node n2 is not Ready',
      '10.0.0.3: the host is no node of the cluster',
      'null: node n9 is on no host that is known',
    ]);
  });

  it('are not missed of a host that is leaving', () => {
    const [first, second] = state.hosts;
    const hosts = [first, { ...second, leaving: true }] as ClusterState['hosts'];
    expect(nodeFindings({ name: 'edge', hosts }, { master, nodes: [node('10.0.0.2')] })).toEqual([]);
  });

  it('are not guessed when nobody answers', () => {
    expect(nodeFindings(state, { master: undefined, why: 'no master can be reached' })).toMatchObject([
      { check: 'api-server', why: 'no master can be reached' },
    ]);
  });

  it('are of a cluster that was launched to its end', () => {
    const image = { name: 'k8s:v2', digest: 'sha256:2' };
    expect(launchFindings({ name: 'edge', phase: 'running', image })).toEqual([]);
    expect(launchFindings({ name: 'edge', phase: 'running', changing: 'upgrade', image })).toMatchObject([
      { severity: 'problem', what: 'the upgrade to k8s:v2 is not finished' },
    ]);
    expect(launchFindings({ name: 'edge', phase: 'installing', image })).toMatchObject([{ severity: 'problem' }]);
    expect(launchFindings({ name: 'edge', phase: 'resetting', image })[0]?.fix).toContain(
      'slipway reset --cluster edge',
    );
  });
});

describe('pods', () => {
  const NOW = Date.UTC(2026, 0, 1, 12);
  const pod = (over: Partial<OpenPod> = {}): OpenPod => ({
    namespace: 'default',
    name: 'web',
    phase: 'Pending',
    since: '2026-01-01T11:50:00Z',
    hostIP: '10.0.0.3',
    reasons: ['ImagePullBackOff', 'ImagePullBackOff', ''],
    ...over,
  });
  const pods = (...list: OpenPod[]): string[] =>
    podFindings(list, ['10.0.0.2', '10.0.0.3'], NOW).map(
      ({ severity, host, what, why }) => `${severity} ${host}: ${what}: ${why}`,
    );

  it('may take five minutes', () => {
    expect(pods(pod({ since: '2026-01-01T11:55:00Z' }))).toEqual([]);
    expect(pods(pod())).toEqual([
      'problem 10.0.0.3: pod default/web is not ready: Pending since 2026-01-01T11:50:00Z; ImagePullBackOff',
    ]);
  });

  it('that failed are worth a warning, and where they are may be nobody’s host', () => {
    expect(pods(pod({ phase: 'Failed', hostIP: '', reasons: ['Evicted'] }))).toEqual([
      'warning null: pod default/web has failed: Failed since 2026-01-01T11:50:00Z; Evicted',
    ]);
    expect(pods(pod({ since: 'never' }))).toHaveLength(1);
  });

  it('are read from what kubectl prints, with the escapes of Go, also when lines were cut', () => {
    const line = (reason: string): string =>
      `{"namespace":"a","name":"b","phase":"Pending","since":"2026-01-01T11:50:00Z","hostIP":"","reasons":["${reason}",""]}`;
    const text = [
      line('plain \\"x\\" \\\\x41'),
      line('\\x07\\a\\v\\U0001f600\\u00e9'),
      '[… 7 characters dropped …]',
      line('cut').slice(9),
      '',
    ];
    expect(parsePods(text.join('\n')).map(({ reasons }) => reasons[0])).toEqual([
      'plain "x" \\x41',
      '\u0007\u0007\u000b\u{1f600}é',
    ]);
    expect(parsePods('')).toEqual([]);
  });
});

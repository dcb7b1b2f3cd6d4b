import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { chooseHosts, type HostChoice } from '../../../src/install/cluster-hosts/choose-hosts.js';
import type { ClusterState } from '../../../src/install/state/cluster-state.js';
import { putClusterState } from '../../support/cluster-state.js';

let root: string;
let state: ClusterState;
beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), 'slipway-choose-'));
  state = await putClusterState(root, 'edge', { '10.0.0.2': 'master', '10.0.0.3': 'node,storage', '10.0.0.4': 'node' });
});
afterAll(() => rmSync(root, { recursive: true }));

const chosen = (choice: HostChoice): string[] => chooseHosts(state, choice).map(({ address }) => address.slice(-1));

describe('hosts of a cluster', () => {
  it('are all, or those that are meant', () => {
    expect(chosen({})).toEqual(['2', '3', '4']);
    expect(chosen({ masters: true })).toEqual(['2']);
    expect(chosen({ nodes: true })).toEqual(['3', '4']);
    expect(chosen({ hosts: '10.0.0.4,10.0.0.2-10.0.0.3' })).toEqual(['2', '3', '4']);
    expect(chosen({ roles: 'storage' })).toEqual(['3']);
    expect(chosen({ roles: 'storage,master' })).toEqual(['2', '3']);
  });

  it('are refused when nobody can be meant', () => {
    expect(() => chosen({ hosts: '10.0.0.9' })).toThrow('10.0.0.9 is no host of cluster edge');
    expect(() => chosen({ hosts: '' })).toThrow('--hosts is empty');
    expect(() => chosen({ roles: 'storge' })).toThrow(expect.objectContaining({ hint: 'did you mean storage?' }));
    expect(() => chosen({ masters: true, nodes: true })).toThrow('exclude each other');
    expect(() => chooseHosts({ name: 'edge', hosts: state.hosts.slice(0, 1) }, { nodes: true })).toThrow(
      'cluster edge has no hosts but masters',
    );
  });
});

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { chooseCluster, imagesOfClusters, knownClusters } from '../../../src/install/state/known-clusters.js';
import { putClusterState } from '../../support/cluster-state.js';

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'slipway-known-'));
});
afterEach(() => rmSync(root, { recursive: true }));

const HOSTS = { '10.0.0.2': 'master' };

describe('the clusters of a store', () => {
  it('are none where none was launched, and a plan alone makes none', async () => {
    expect(await knownClusters(root)).toEqual([]);
    mkdirSync(join(root, 'data/planned/logs'), { recursive: true });
    expect(await knownClusters(root)).toEqual([]);
    await expect(chooseCluster(root)).rejects.toMatchObject({
      code: 'E_NOT_FOUND',
      hint: expect.stringContaining('--root'),
    });
    await expect(chooseCluster(root, 'planned')).rejects.toMatchObject({
      code: 'E_NOT_FOUND',
      message: expect.stringContaining('no cluster "planned"'),
    });
  });

  it('are chosen by name, or because there is only one', async () => {
    await putClusterState(root, 'edge', HOSTS);
    expect((await chooseCluster(root)).name).toBe('edge');
    await putClusterState(root, 'dock', HOSTS);
    expect((await chooseCluster(root, 'edge')).name).toBe('edge');
    await expect(chooseCluster(root)).rejects.toMatchObject({
      code: 'E_USAGE',
      message: 'there are several clusters: dock, edge',
      hint: 'say which one with --cluster',
    });
    await expect(chooseCluster(root, 'eddge')).rejects.toMatchObject({
      code: 'E_NOT_FOUND',
      hint: 'known are: dock, edge',
    });
  });

  it('do not hide each other when the state of one is damaged', async () => {
    await putClusterState(root, 'edge', HOSTS);
    await putClusterState(root, 'dock', HOSTS);
    writeFileSync(join(root, 'data/dock/cluster.json'), '{"schema":');
    expect((await knownClusters(root)).map((one) => [one.name, 'problem' in one])).toEqual([
      ['dock', true],
      ['edge', false],
    ]);
    expect((await chooseCluster(root, 'edge')).name).toBe('edge');
    await expect(chooseCluster(root, 'dock')).rejects.toMatchObject({ code: 'E_CLUSTER_STATE' });
    // What else lies there is nobody's cluster, or one that cannot be read.
    writeFileSync(join(root, 'data/edge.tgz'), '');
    mkdirSync(join(root, 'data/yard/cluster.json'), { recursive: true });
    expect((await knownClusters(root)).map((one) => one.name)).toEqual(['dock', 'edge', 'yard']);
    expect((await chooseCluster(root, 'edge')).name).toBe('edge');
    // Images of a cluster that nobody can read must not be pruned.
    await expect(imagesOfClusters(root)).rejects.toMatchObject({ code: 'E_CLUSTER_STATE' });
  });
});

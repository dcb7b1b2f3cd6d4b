// The copy of a cluster's state on its masters, with this machine as the master.
import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, beforeEach, expect, it } from 'vitest';
import { silentReporter } from '../../../src/base/reporter.js';
import { connectHost } from '../../../src/hosts/connect.js';
import { readCopies } from '../../../src/install/adopt/look.js';
import { hostPaths, type StatePaths, statePaths } from '../../../src/install/state/cluster-paths.js';
import { type ClusterState, readClusterState } from '../../../src/install/state/cluster-state.js';
import { assertNotOutdated, keepOnMasters, outdatedProblem } from '../../../src/install/state/kept-on-masters.js';
import { putClusterState } from '../../support/cluster-state.js';
import { tempDirectory } from '../../support/temp.js';

const scratch = tempDirectory('slipway-kept-');
const host = connectHost('127.0.0.1');
afterAll(() => host.close());

let count = 0;
let dataRoot: string;
let state: ClusterState;
let copy: string;
let paths: StatePaths;
const owner = { cluster: 'edge', id: 'id-of-edge' };
beforeEach(async () => {
  dataRoot = join(scratch, `root-${count++}`);
  state = await putClusterState(join(dataRoot, 'store'), 'edge', { '127.0.0.1': 'master' }, { dataRoot });
  copy = hostPaths(dataRoot, 'edge').state;
  paths = statePaths(join(dataRoot, 'store'), 'edge');
});
const known = async (): Promise<ClusterState> => (await readClusterState(paths)) as ClusterState;
const found = (): Promise<ClusterState | undefined> => readCopies([host], dataRoot, owner);

it('is all of the state, for root alone, and written only when something is another', async () => {
  await keepOnMasters([host], state, paths, silentReporter);
  expect(statSync(copy).mode & 0o777).toBe(0o600);
  const kept = await known();
  expect(kept.revision?.number).toBe(1);
  expect({ ...(await found()), updated: '' }).toEqual({ ...state, revision: kept.revision, updated: '' });
  const { ino } = statSync(copy);
  const same = { ...kept, updated: '2027-01-01T00:00:00.000Z', previous: undefined };
  await keepOnMasters([host], same, paths, silentReporter);
  // how somebody else reaches the hosts is nothing that the cluster is another for
  const reached = same.hosts.map((one) => ({ ...one, ssh: { ...one.ssh, port: 2222 } }));
  await keepOnMasters([host], { ...same, hosts: reached }, paths, silentReporter);
  expect(statSync(copy).ino).toBe(ino);
  expect((await known()).hosts[0]?.ssh.port).toBe(2222);
  await keepOnMasters([host], { ...kept, certSANs: ['api.example.com'] }, paths, silentReporter);
  expect((await found())?.certSANs).toEqual(['api.example.com']);
  expect((await found())?.revision).toEqual((await known()).revision);
  expect((await known()).revision?.number).toBe(2);
});

it('says that what is known here is not the newest', async () => {
  await keepOnMasters([host], state, paths, silentReporter);
  const first = await known();
  expect(await outdatedProblem([host], first)).toBeUndefined();
  await keepOnMasters([host], { ...first, certSANs: ['of-here'] }, paths, silentReporter);
  expect(await outdatedProblem([host], await known())).toBeUndefined();
  // what another machine had before, or brought back from a backup
  for (const old of [first, state]) {
    expect(await outdatedProblem([host], old)).toMatchObject({
      problem: expect.stringContaining('cluster edge was changed from another machine: 127.0.0.1 keeps a state of it'),
      hint: 'take it over first: slipway gen --cluster edge --masters 127.0.0.1 --force',
    });
  }
  await expect(assertNotOutdated([host], first)).rejects.toMatchObject({ code: 'E_CLUSTER_STATE' });
  // both went on from the same one
  const beside = { ...first, revision: { number: 2, id: 'of another machine' } };
  expect(await outdatedProblem([host], beside)).toBeDefined();
  expect(await outdatedProblem([host], { ...beside, id: 'another cluster' })).toBeUndefined();
});

it('is still known here as the newest when the end comes between here and the master', async () => {
  await keepOnMasters([host], state, paths, silentReporter);
  const before = readFileSync(copy);
  await keepOnMasters([host], { ...(await known()), certSANs: ['new'] }, paths, silentReporter);
  writeFileSync(copy, before);
  expect(await outdatedProblem([host], await known())).toBeUndefined();
  await keepOnMasters([host], await known(), paths, silentReporter);
  expect(await found()).toMatchObject({ certSANs: ['new'], revision: (await known()).revision });
});

it('is taken for none when it is damaged, of another cluster, or of another one of the same name', async () => {
  expect(await found()).toBeUndefined();
  mkdirSync(dirname(copy), { recursive: true });
  const text = JSON.stringify(state);
  for (const bad of [
    '',
    '{',
    '[]',
    text.slice(0, -9),
    JSON.stringify({ ...state, id: 'other' }),
    JSON.stringify({ ...state, name: 'dock' }),
  ]) {
    writeFileSync(copy, bad);
    expect(await found(), bad).toBeUndefined();
  }
  await keepOnMasters([host], state, paths, silentReporter);
  expect((await found())?.id).toBe('id-of-edge');
});

it('is no failure where it cannot be written: that is told', async () => {
  mkdirSync(copy, { recursive: true });
  const warnings: string[] = [];
  await keepOnMasters([host], state, paths, { ...silentReporter, warn: (line) => void warnings.push(line) });
  expect(warnings).toEqual([expect.stringContaining('127.0.0.1 does not keep a copy of the state of edge')]);
  expect(() => readFileSync(copy)).toThrow();
});

// The copy of a cluster's state on its masters, with this machine as the master.
import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, beforeEach, expect, it } from 'vitest';
import { silentReporter } from '../../../src/base/reporter.js';
import { connectHost } from '../../../src/hosts/connect.js';
import { readCopies } from '../../../src/install/adopt/look.js';
import { hostPaths } from '../../../src/install/state/cluster-paths.js';
import type { ClusterState } from '../../../src/install/state/cluster-state.js';
import { keepOnMasters } from '../../../src/install/state/kept-on-masters.js';
import { putClusterState } from '../../support/cluster-state.js';
import { tempDirectory } from '../../support/temp.js';

const scratch = tempDirectory('slipway-kept-');
const host = connectHost('127.0.0.1');
afterAll(() => host.close());

let count = 0;
let dataRoot: string;
let state: ClusterState;
let copy: string;
const owner = { cluster: 'edge', id: 'id-of-edge' };
beforeEach(async () => {
  dataRoot = join(scratch, `root-${count++}`);
  state = await putClusterState(join(dataRoot, 'store'), 'edge', { '127.0.0.1': 'master' }, { dataRoot });
  copy = hostPaths(dataRoot, 'edge').state;
});
const found = (): Promise<ClusterState | undefined> => readCopies([host], dataRoot, owner);

it('is all of the state, for root alone, and written only when something is another', async () => {
  await keepOnMasters([host], state, silentReporter);
  expect(statSync(copy).mode & 0o777).toBe(0o600);
  expect({ ...(await found()), updated: '' }).toEqual({ ...state, updated: '' });
  const { ino } = statSync(copy);
  await keepOnMasters([host], { ...state, updated: '2027-01-01T00:00:00.000Z', previous: undefined }, silentReporter);
  expect(statSync(copy).ino).toBe(ino);
  await keepOnMasters([host], { ...state, certSANs: ['api.example.com'] }, silentReporter);
  expect((await found())?.certSANs).toEqual(['api.example.com']);
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
  await keepOnMasters([host], state, silentReporter);
  expect((await found())?.id).toBe('id-of-edge');
});

it('is no failure where it cannot be written: that is told', async () => {
  mkdirSync(copy, { recursive: true });
  const warnings: string[] = [];
  await keepOnMasters([host], state, { ...silentReporter, warn: (line) => void warnings.push(line) });
  expect(warnings).toEqual([expect.stringContaining('127.0.0.1 does not keep a copy of the state of edge')]);
  expect(() => readFileSync(copy)).toThrow();
});

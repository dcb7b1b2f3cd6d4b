import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect, it } from 'vitest';
import { compileFaults, type FaultPlan, type FaultyRun, slipwayWithFaults } from '../../support/faults/faults.js';
import { mustSlipway } from '../../support/slipway.js';
import { tempDirectory } from '../../support/temp.js';
import { writeTree } from '../../support/write-tree.js';

const home = tempDirectory();
const root = join(home, 'store');
const target = join(home, 'saved');
const base = join(home, 'base.tar');
const SAVE = ['save', '--format', 'oci-dir', '-o', target, '--since', 'old:1', 'new:1', 'new:2'];
let library = '';
let runs = 0;

beforeAll(async () => {
  library = compileFaults(home);
  for (const [name, Kubefile] of [
    ['old:1', 'FROM scratch\nCOPY Kubefile a\n'],
    ['new:1', 'FROM old:1\nCOPY Kubefile b\n'],
    ['new:2', 'FROM old:1\nCOPY Kubefile c\n'],
  ] as const)
    await mustSlipway(['build', '-q', '-t', name, writeTree(join(home, name), { Kubefile })], { root });
  await mustSlipway(['save', '-o', base, 'old:1'], { root });
}, 60_000);

function save(plan: Pick<FaultPlan, 'at' | 'action' | 'ever'>): Promise<FaultyRun> {
  const faults = { below: [target], kinds: 'nrsd', ...plan };
  return slipwayWithFaults(library, join(home, `notes-${runs++}`), faults, [...SAVE, '--json'], { root });
}

it('a save into a directory that failed is completed by doing it again', async () => {
  const { code, calls, stderr } = await save({ at: 0 });
  expect(code, stderr).toBe(0);
  const whole = readdirSync(target);
  // From here on everything is there but the names, then they too: only what was unfinished must go.
  const last = calls.slice(calls.findIndex(({ what }) => what.endsWith('-index.json')) - 1);
  expect(last.map(({ kind }) => kind).join('')).toMatch(/nsrsd+$/);
  for (const { number, name, what } of last)
    for (const ever of [false, true]) {
      rmSync(target, { recursive: true });
      const failed = await save({ at: number, action: 'EIO', ever });
      const moment = `${name} ${what}${ever ? ' and all later ones' : ''}: ${failed.stderr}`;
      expect(failed.code, moment).toBe(1);
      expect(JSON.parse(failed.stderr), moment).toMatchObject({ error: { code: 'E_SYSTEM' } });
      await mustSlipway(SAVE, { root });
      expect(readdirSync(target), moment).toEqual(whole);
      const there = join(home, `there-${runs}`);
      for (const archive of [base, target]) await mustSlipway(['load', '-i', archive], { root: there });
      expect((await mustSlipway(['images', '-q'], { root: there })).split('\n').length, moment).toBe(4);
    }
}, 300_000);

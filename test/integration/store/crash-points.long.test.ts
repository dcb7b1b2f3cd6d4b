import { availableParallelism } from 'node:os';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { mapLimit } from '../../../src/base/concurrency.js';
import { CHANGES, type CountedCall, callsOfKinds, type FaultAction, shownCall } from '../../support/faults/faults.js';
import { tempDirectory } from '../../support/temp.js';
import { orderProblems } from './support/durable-order.js';
import type { Place, Scenario } from './support/scenarios.js';
import { spread } from './support/spread.js';
import { expectSwept, expectWhole, openWorkshop, type Workshop } from './support/workshop.js';

/** How many moments of each command: a number, or `every`. */
const POINTS = process.env.SLIPWAY_CRASH_POINTS ?? '4';
/** The same seed chooses the same moments. */
// The same ones in every run, so that a red one is the fault of the change; other seeds by hand.
const SEED = Number(process.env.SLIPWAY_CRASH_SEED ?? 1_323_472_044);
/** Only commands with this in their name. */
const ONLY = process.env.SLIPWAY_CRASH_ONLY ?? '';

/** Counted, but nothing that it is worth to be killed before: what makes durable. */
const KINDS = `${CHANGES}s`;

const home = tempDirectory();
let workshop: Workshop;

beforeAll(async () => {
  workshop = await openWorkshop(home);
}, 300_000);
afterAll(() => workshop.close());

it(
  `a command that is killed before any of its changes of the disk leaves a store that is whole (${POINTS} of each, seed ${SEED})`,
  async () => {
    const problems: string[] = [];
    const total = { moments: 0, killed: 0, ended: 0 };
    const chosen = workshop.scenarios.filter(({ name }) => name.includes(ONLY));
    const moments = await mapLimit(chosen, availableParallelism(), async (scenario, index) => {
      const { calls, place } = await allCalls(scenario);
      problems.push(...orderProblems(calls, place).map((problem) => `${scenario.name}, call ${problem}`));
      return choose(callsOfKinds(calls, CHANGES), SEED + index).map((call) => ({ scenario, call }));
    });
    await mapLimit(moments.flat(), availableParallelism(), async ({ scenario, call }, index) => {
      // What it has started lives on, as after a kill -9, or goes too, as after a power cut.
      const action = (SEED + index) % 2 === 0 ? 'kill' : 'killall';
      const { killed, problem } = await killAt(scenario, call, action);
      total.moments++;
      total[killed ? 'killed' : 'ended']++;
      if (problem === undefined) return;
      problems.push(problem);
      process.stdout.write(`${problem}\n`);
    });
    const each = chosen.map(({ name }, index) => `${moments[index]?.length} ${name}`);
    if (POINTS === 'every') process.stdout.write(`${each.join('\n')}\n`);
    process.stdout.write(
      `crash points: ${total.moments} moments of ${chosen.length} commands tried (seed ${SEED}), ${total.killed} killed, inconsistencies: ${problems.length}\n`,
    );
    expect(problems).toEqual([]);
  },
  POINTS === 'every' ? 4 * 3_600_000 : 1_200_000,
);

/** What a command changes when it is not killed. */
async function allCalls(
  scenario: Scenario,
): Promise<{ readonly calls: readonly CountedCall[]; readonly place: Place }> {
  const { place } = await workshop.begin(scenario);
  const { code, stderr, calls } = await workshop.run(scenario, place, { kinds: KINDS, at: 0 });
  expect(code, `${scenario.name}: ${stderr}`).toBe(scenario.code ?? 0);
  await scenario.done(place);
  await workshop.end(place);
  return { calls, place };
}

async function killAt(
  scenario: Scenario,
  call: CountedCall,
  action: FaultAction,
): Promise<{ readonly killed: boolean; readonly problem: string | undefined }> {
  const { place, before } = await workshop.begin(scenario);
  const { code, signal, hit, stderr } = await workshop.run(scenario, place, {
    kinds: CHANGES,
    at: call.number,
    action,
  });
  const killed = signal === 'SIGKILL';
  try {
    if (!killed) expect(code, stderr).toBe(scenario.code ?? 0);
    await expectWhole(scenario, before, place);
    const again = await workshop.again(scenario, place);
    expect(again.code, again.stderr).toBe(scenario.code ?? 0);
    await expectSwept(place);
    await scenario.done(place);
    await expectWhole(scenario, before, place);
    await workshop.end(place);
    return { killed, problem: undefined };
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    return { killed, problem: `${scenario.name}, ${action} before ${shownCall(hit)}: ${message}` };
  }
}

/** Half of them from those that change what is not temporary: rarer, and what matters. */
function choose(calls: readonly CountedCall[], seed: number): readonly CountedCall[] {
  if (POINTS === 'every') return calls;
  const count = Number(POINTS);
  const lasting = calls.filter(({ what }) => !what.split(' ').every((file) => /\/store\/tmp\/|\/out\/\./.test(file)));
  return [...spread(lasting, Math.ceil(count / 2), seed), ...spread(calls, Math.floor(count / 2), seed)];
}

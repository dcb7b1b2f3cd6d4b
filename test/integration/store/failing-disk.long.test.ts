import { availableParallelism } from 'node:os';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { mapLimit } from '../../../src/base/concurrency.js';
import { type CountedCall, callsOfKinds, shownCall } from '../../support/faults/faults.js';
import { tempDirectory } from '../../support/temp.js';
import type { Scenario } from './support/scenarios.js';
import { spread } from './support/spread.js';
import { expectSwept, expectWhole, openWorkshop, type Workshop } from './support/workshop.js';

/** How many calls of each command fail, with each error: a number (also below 1), or `every`. */
const POINTS = process.env.SLIPWAY_FAULT_POINTS ?? '0.5';
/** The same seed chooses the same calls. */
// The same ones in every run, so that a red one is the fault of the change; other seeds by hand.
const SEED = Number(process.env.SLIPWAY_FAULT_SEED ?? 563_190_836);
/** Only commands with this in their name. */
const ONLY = process.env.SLIPWAY_FAULT_ONLY ?? '';

interface Fault {
  readonly action: 'ENOSPC' | 'EDQUOT' | 'EIO' | 'EROFS' | 'EMFILE';
  /** Kinds of calls that can fail so; see faults.c. */
  readonly kinds: string;
  /** All later calls fail too. */
  readonly ever: boolean;
  readonly code: string;
}

const FAULTS: readonly Fault[] = [
  { action: 'ENOSPC', kinds: 'ncwsr', ever: true, code: 'E_NO_SPACE' },
  { action: 'ENOSPC', kinds: 'ncwsr', ever: false, code: 'E_NO_SPACE' },
  { action: 'EDQUOT', kinds: 'ncwsr', ever: false, code: 'E_NO_SPACE' },
  { action: 'EIO', kinds: 'ncrdwtsmR', ever: false, code: 'E_SYSTEM' },
  { action: 'EIO', kinds: 'ncrdwtsmR', ever: true, code: 'E_SYSTEM' },
  { action: 'EROFS', kinds: 'ncrdtma', ever: true, code: 'E_PERMISSION' },
  { action: 'EMFILE', kinds: 'nao', ever: false, code: 'E_SYSTEM' },
].filter(({ action }) => action.includes(process.env.SLIPWAY_FAULT_ERROR ?? '')) as readonly Fault[];
const KINDS = [...new Set(FAULTS.flatMap(({ kinds }) => [...kinds]))].join('');

const home = tempDirectory();
let workshop: Workshop;

beforeAll(async () => {
  workshop = await openWorkshop(home);
}, 300_000);
afterAll(() => workshop.close());

it(
  `a call of the file system that fails is told as such, and leaves a store that is whole (${POINTS} of each, seed ${SEED})`,
  async () => {
    const problems: string[] = [];
    const told: Record<string, number> = {};
    const chosen = workshop.scenarios.filter(({ name }) => name.includes(ONLY));
    const pairs = chosen.flatMap((scenario) => FAULTS.map((fault) => ({ scenario, fault })));
    const counts = new Map<Scenario, Promise<readonly CountedCall[]>>();
    const moments = await mapLimit(pairs, availableParallelism(), async ({ scenario, fault }, index) => {
      if (!isChosen(index)) return [];
      const calls = counts.get(scenario) ?? allCalls(scenario);
      counts.set(scenario, calls);
      const count = POINTS === 'every' ? Number.POSITIVE_INFINITY : Math.max(1, Number(POINTS));
      const those = callsOfKinds(await calls, fault.kinds);
      return spread(those, count, SEED + 7 * index).map((call) => ({ scenario, fault, call }));
    });
    await mapLimit(moments.flat(), availableParallelism(), async ({ scenario, fault, call }) => {
      const { code, problem } = await failAt(scenario, fault, call);
      const line = `${fault.action}${fault.ever ? ' for ever' : ''}: ${code}`;
      told[line] = (told[line] ?? 0) + 1;
      if (problem === undefined) return;
      problems.push(problem);
      process.stdout.write(`${problem}\n`);
    });
    process.stdout.write(
      `failing disk: ${moments.flat().length} failed calls of ${chosen.length} commands (seed ${SEED}), problems: ${problems.length} ${JSON.stringify(told)}\n`,
    );
    expect(problems).toEqual([]);
  },
  POINTS === 'every' ? 8 * 3_600_000 : 1_800_000,
);

/** With less than one call for each pair, some pairs. */
function isChosen(index: number): boolean {
  const share = POINTS === 'every' ? 1 : Math.min(1, Number(POINTS));
  return Math.floor((index + 1 + (SEED % 97)) * share) > Math.floor((index + (SEED % 97)) * share);
}

/** What a command does when nothing fails. */
async function allCalls(scenario: Scenario): Promise<readonly CountedCall[]> {
  const { place } = await workshop.begin(scenario);
  const { code, stderr, calls } = await workshop.run(scenario, place, { kinds: KINDS, at: 0 });
  expect(code, `${scenario.name}: ${stderr}`).toBe(scenario.code ?? 0);
  await workshop.end(place);
  return calls;
}

async function failAt(
  scenario: Scenario,
  { action, kinds, ever, code: wanted }: Fault,
  call: CountedCall,
): Promise<{ readonly code: string; readonly problem: string | undefined }> {
  const { place, before } = await workshop.begin(scenario);
  const { code, hit, stderr } = await workshop.run(scenario, place, { kinds, at: call.number, action, ever });
  const told = code === (scenario.code ?? 0) ? 'done' : errorCode(stderr);
  try {
    // Some calls may fail without harm, such as what only makes the next command faster.
    if (told !== 'done') {
      expect(told, stderr).toBe(wanted);
      expect(code, stderr).toBe(1);
    }
    await expectWhole(scenario, before, place);
    const again = await workshop.again(scenario, place);
    expect(again.code, again.stderr).toBe(scenario.code ?? 0);
    await expectSwept(place);
    await scenario.done(place);
    await expectWhole(scenario, before, place);
    await workshop.end(place);
    return { code: told, problem: undefined };
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    return {
      code: told,
      problem: `${scenario.name}, ${action}${ever ? ' for ever' : ''} at ${shownCall(hit)}: ${message}`,
    };
  }
}

/** What the JSON on standard error says; a text when it is none. */
function errorCode(stderr: string): string {
  try {
    return (JSON.parse(stderr.trim().split('\n').at(-1) ?? '') as { error: { code: string } }).error.code;
  } catch {
    return 'no error in JSON';
  }
}

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { isSlipwayError, SlipwayError } from '../../../src/base/errors.js';
import { silentReporter } from '../../../src/base/reporter.js';
import { type ExecuteOutcome, execute } from '../../../src/install/plan/execute.js';
import { formatPlan, inspectPlan, makePlan, type PlanDocument } from '../../../src/install/plan/plan.js';
import { inputsDigest, type Phase, type Step, stepId } from '../../../src/install/plan/step.js';
import { Journal, lastEvents, readJournal } from '../../../src/install/state/journal.js';

let dir: string;
let file: string;
let ran: string[];
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'slipway-execute-'));
  file = join(dir, 'journal.jsonl');
  ran = [];
});
afterEach(() => rm(dir, { recursive: true }));

const MASTER = '10.0.0.2';
const WORKERS = ['10.0.0.3', '10.0.0.4'];

/** A step that notes that it ran. */
function step(name: string, host: string | undefined, more: Partial<Step> = {}): Step {
  const id = stepId(name, host);
  return {
    id,
    host,
    title: name,
    why: 'because',
    inputs: inputsDigest(name),
    proof: 'journal',
    run: async () => {
      ran.push(id);
      return undefined;
    },
    ...more,
  };
}
const phase = (name: string, steps: readonly Step[], more: Partial<Phase<undefined>> = {}): Phase<undefined> => ({
  name,
  title: name,
  steps: () => steps,
  ...more,
});
const failing = (name: string, host: string | undefined, error: Error): Step =>
  step(name, host, { run: () => Promise.reject(error) });

async function go(phases: readonly Phase<undefined>[], signal = new AbortController().signal): Promise<ExecuteOutcome> {
  const done = lastEvents(await readJournal(file));
  const journal = await Journal.open(file, 'run');
  try {
    return await execute(makePlan(phases, undefined), {
      journal,
      done,
      logs: new Map(),
      reporter: silentReporter,
      concurrency: 4,
      critical: new Set([MASTER]),
      signal,
      again: 'slipway run',
    });
  } finally {
    await journal.close();
  }
}

describe('carrying out a plan', () => {
  it('goes phase by phase, all hosts of one before the next', async () => {
    const both = [MASTER, ...WORKERS];
    await go([
      phase(
        'send',
        both.map((host) => step('send', host)),
      ),
      phase('init', [step('init', MASTER)]),
      phase(
        'join',
        WORKERS.map((host) => step('join', host)),
      ),
    ]);
    expect(ran.slice(0, 3).sort()).toEqual(both.map((host) => `send@${host}`));
    expect(ran[3]).toBe(`init@${MASTER}`);
    expect(ran.slice(4).sort()).toEqual(WORKERS.map((host) => `join@${host}`));
  });

  it('runs the steps of a serial phase one after the other, of another one at once', async () => {
    let active = 0;
    let most = 0;
    const counted = (host: string): Step =>
      step('join', host, {
        run: async () => {
          most = Math.max(most, ++active);
          await new Promise((resolve) => setImmediate(resolve));
          active--;
          return undefined;
        },
      });
    await go([phase('join', WORKERS.map(counted), { serial: true })]);
    expect(most).toBe(1);

    let arrived = 0;
    let open: (value: undefined) => void = () => {};
    const all = new Promise<undefined>((resolve) => {
      open = resolve;
    });
    // each ends only when the other has begun
    const meeting = (host: string): Step =>
      step('meet', host, {
        run: () => {
          if (++arrived === WORKERS.length) open(undefined);
          return all;
        },
      });
    await go([phase('meet', WORKERS.map(meeting))]);
    expect(arrived).toBe(2);
  });

  it('does nothing twice; does again what changed, failed, or no longer holds', async () => {
    const send = step('send', MASTER);
    expect(await go([phase('send', [send])])).toMatchObject({ ran: 1, skipped: 0 });
    expect(await go([phase('send', [send])])).toMatchObject({ ran: 0, skipped: 1 });
    expect(await go([phase('send', [{ ...send, inputs: inputsDigest('other') }])])).toMatchObject({ ran: 1 });
    const broken = { ...send, inputs: inputsDigest('other'), check: async () => ({ holds: false }) };
    expect(await go([phase('send', [broken])])).toMatchObject({ ran: 1 });
    await expect(go([phase('init', [failing('init', MASTER, new Error('no'))])])).rejects.toThrow();
    expect(await go([phase('init', [step('init', MASTER)])])).toMatchObject({ ran: 1 });
  });

  it('believes a step whose check says everything, whatever the journal says', async () => {
    const sure = step('init', MASTER, { proof: 'check', check: async () => ({ holds: true }) });
    expect(await go([phase('init', [sure])])).toMatchObject({ ran: 0, skipped: 1 });
    const unsure = step('init', MASTER, { proof: 'check', check: async () => ({ holds: false }) });
    expect(await go([phase('init', [unsure])])).toMatchObject({ ran: 1 });
  });

  it('asks every step at once when all were done, and again whatever follows a step that changes something', async () => {
    let mended = false;
    const asked: string[] = [];
    /** Holds only while the earlier step does not have to run. */
    const both = (broken: boolean): Phase<undefined>[] => [
      phase('first', [
        step('first', MASTER, {
          proof: 'check',
          check: async () => ({ holds: !broken || mended }),
          run: async () => {
            mended = true;
            ran.push('first');
            return undefined;
          },
        }),
      ]),
      phase('second', [
        step('second', WORKERS[0], {
          check: async () => {
            asked.push(mended ? 'after' : 'before');
            return { holds: !mended };
          },
        }),
      ]),
    ];
    await go(both(false));
    ran = [];
    asked.length = 0;
    expect(await go(both(false))).toMatchObject({ ran: 0, skipped: 2 });
    expect(asked).toEqual(['before']);
    asked.length = 0;
    // what was seen of the second before the first had to run is worth nothing
    expect(await go(both(true))).toMatchObject({ ran: 2, skipped: 0 });
    expect(asked).toEqual(['before', 'after']);
    expect(ran).toEqual(['first', 'second@10.0.0.3']);
  });

  it('leaves a worker behind that fails, and works on with the others', async () => {
    let seen: readonly string[] = [];
    const outcome = await go([
      phase('send', [
        step('send', MASTER),
        failing('send', '10.0.0.3', new SlipwayError('E_HOST_UNREACHABLE', 'gone')),
        step('send', '10.0.0.4'),
      ]),
      phase(
        'join',
        WORKERS.map((host) => step('join', host)),
      ),
      phase('ready', [
        step('ready', undefined, {
          run: async ({ failedHosts }) => {
            seen = [...failedHosts];
            return undefined;
          },
        }),
      ]),
    ]);
    expect(ran).toContain('join@10.0.0.4');
    expect(ran).not.toContain('join@10.0.0.3');
    expect(outcome.failures.map(({ step: { id } }) => id)).toEqual(['send@10.0.0.3']);
    expect(seen).toEqual(['10.0.0.3']);
  });

  it('stops when a master fails, and says host, step, reason and what to do next', async () => {
    const error = new SlipwayError('E_HOST_COMMAND', 'kubeadm init failed with exit code 1:\n  no pull', {
      hint: 'look',
    });
    const phases = [phase('init', [failing('kubeadm init', MASTER, error)]), phase('join', [step('join', '10.0.0.3')])];
    const thrown = await go(phases).catch((caught: unknown) => caught);
    expect(isSlipwayError(thrown, 'E_HOST_COMMAND')).toBe(true);
    if (!isSlipwayError(thrown)) return;
    expect(thrown.message).toBe(`${MASTER}: kubeadm init failed: kubeadm init failed with exit code 1:\n  no pull`);
    expect(thrown.hint).toBe('look; slipway run goes on from here');
    expect(ran).toEqual([]);
    expect(lastEvents(await readJournal(file)).get(`kubeadm init@${MASTER}`)).toMatchObject({
      event: 'failed',
      message: 'kubeadm init failed with exit code 1:',
    });
  });

  it('finishes what runs at Ctrl-C, begins nothing more, and exits with 130', async () => {
    const abort = new AbortController();
    const phases = [
      phase('init', [
        step('init', MASTER, {
          run: async () => {
            abort.abort();
            ran.push('init to its end');
            return undefined;
          },
        }),
      ]),
      phase('join', [step('join', '10.0.0.3')]),
    ];
    const thrown = await go(phases, abort.signal).catch((caught: unknown) => caught);
    expect(isSlipwayError(thrown, 'E_INTERRUPTED') && thrown.exitCode).toBe(130);
    expect(ran).toEqual(['init to its end']);
    expect(await go(phases)).toMatchObject({ ran: 1, skipped: 1 });
  });

  it('that is through when Ctrl-C comes is no failure', async () => {
    const abort = new AbortController();
    const last = step('last', MASTER, {
      run: async () => {
        abort.abort();
        return undefined;
      },
    });
    expect(await go([phase('last', [last])], abort.signal)).toMatchObject({ ran: 1 });
  });
});

describe('a plan that is only looked at', () => {
  const done = step('claim', MASTER, { proof: 'check', check: async () => ({ holds: true }) });
  const todo = step('send', MASTER, {
    proof: 'check',
    check: async () => ({ holds: false, why: '3 entries to send' }),
  });
  const mute = step('send', '10.0.0.3', { proof: 'check', check: () => Promise.reject(new Error('asked in vain')) });
  const phases = [phase('claim', [done]), phase('empty', []), phase('send', [todo, mute])];

  it('says of each step whether it is done, and why not, and runs none', async () => {
    const plan = makePlan(phases, undefined);
    const options = { concurrency: 2, signal: new AbortController().signal, silent: new Set(['10.0.0.3']) };
    const steps = await inspectPlan(plan, new Map(), options);
    expect(steps.map(({ id, state, why }) => `${id} ${state} ${why}`)).toEqual([
      `claim@${MASTER} done because`,
      `send@${MASTER} todo 3 entries to send`,
      'send@10.0.0.3 unknown because',
    ]);
    expect(ran).toEqual([]);

    const document: PlanDocument = {
      schema: 1,
      cluster: 'prod',
      image: 'k8s:v1',
      imageDigest: 'sha256:1',
      version: 'v1.20.2',
      problems: [{ host: '10.0.0.3', problem: 'no route', hint: 'is it on?' }],
      warnings: ['2 masters'],
      notes: [],
      steps,
    };
    expect(formatPlan(document, new Map([['send', 'Send the rootfs']]))).toBe(`cluster prod: k8s:v1 (Kubernetes v1.20.2)
problem: 10.0.0.3: no route
           is it on?
warning: 2 masters

Send the rootfs
  + 10.0.0.2        send: 3 entries to send
  + 10.0.0.3        send: because

2 to do, 1 done already; nothing is done before the problems are mended
`);
    for (const [runtime, version] of [
      ['k3s', 'v1.30.4+k3s1'],
      ['k0s', 'v1.31.14+k0s.0'],
    ] as const) {
      expect(formatPlan({ ...document, version }, new Map())).toContain(`k8s:v1 (${runtime} ${version})`);
    }
  });
});

import { setMaxListeners } from 'node:events';
import { isSlipwayError, messageOf, SlipwayError } from '../../base/errors.js';
import { formatDuration } from '../../base/format.js';
import type { Reporter } from '../../base/reporter.js';
import type { HostLog } from '../cluster-hosts/host-log.js';
import type { Journal, JournalEntry } from '../state/journal.js';
import { inspectPlan, isDone, type Plan, type PlannedPhase } from './plan.js';
import type { Step } from './step.js';

export interface ExecuteOptions {
  readonly journal: Journal;
  /** The newest word of earlier runs on each step. */
  readonly done: ReadonlyMap<string, JournalEntry>;
  readonly logs: ReadonlyMap<string, HostLog>;
  readonly reporter: Reporter;
  /** Steps that run at once. */
  readonly concurrency: number;
  /** Hosts without which the rest makes no sense: when one fails nothing more is begun. */
  readonly critical: ReadonlySet<string>;
  /** Ctrl-C: running steps finish, no other begins. */
  readonly signal: AbortSignal;
  /** Stops running steps too. */
  readonly abort?: AbortSignal;
  /** The command that goes on from where this stopped, for the hint. */
  readonly again: string;
}

/** One step that failed. */
export interface StepFailure {
  readonly step: Step;
  readonly error: unknown;
}

/** How a plan ended. `failures` are of hosts that could be left behind; the others worked on. */
export interface ExecuteOutcome {
  readonly failures: readonly StepFailure[];
  readonly ran: number;
  readonly skipped: number;
}

/**
 * Runs a plan: phase after phase, in a phase as many steps at once as allowed. Every step is asked first whether it is done. What
 * happens is in the journal before and after.
 *
 * A host that fails is left out of what follows; the others go on, unless it is a critical one or the step was work on this machine.
 * @throws SlipwayError of the step that stopped everything; E_INTERRUPTED after Ctrl-C.
 */
export async function execute(plan: Plan, options: ExecuteOptions): Promise<ExecuteOutcome> {
  const failedHosts = new Set<string>();
  const failures: StepFailure[] = [];
  let stopped: StepFailure | undefined;
  const finished = new Set<string>();
  let ran = 0;
  // What was seen before anything is changed is true until something is.
  let seen = await doneAhead(plan, options);
  const changing = (): void => {
    seen = new Set();
  };
  for (const [index, phase] of plan.entries()) {
    const open = [...phase.steps];
    const lane = async (): Promise<void> => {
      for (let step = open.shift(); step !== undefined; step = open.shift()) {
        if (stopped !== undefined || options.signal.aborted || options.abort?.aborted === true) return;
        if (step.host !== undefined && failedHosts.has(step.host)) continue;
        try {
          if (await runStep(step, phase, { failedHosts, seen, changing }, options)) ran++;
          finished.add(step.id);
        } catch (error) {
          const failure = { step, error };
          if (phase.stopsAtFailure || step.host === undefined || options.critical.has(step.host)) stopped ??= failure;
          else {
            failedHosts.add(step.host);
            failures.push(failure);
            options.reporter.warn(`${step.host} is left out: ${firstLine(error)}`);
          }
        }
      }
    };
    const lanes = phase.serial ? 1 : Math.max(1, phase.limit ?? options.concurrency);
    await Promise.all(Array.from({ length: Math.min(lanes, phase.steps.length) }, lane));
    if (stopped !== undefined) throw failureError(stopped, { ...options, state: phase.whenStopped(finished) });
    if (options.abort?.aborted === true) throw options.abort.reason;
    if (options.signal.aborted && (open.length > 0 || index < plan.length - 1)) throw interrupted(options);
  }
  return { failures, ran, skipped: finished.size - ran };
}

/** Says what failed where, what it printed last, where the whole output is, and what to do next. */
export function failureError(
  { step, error }: StepFailure,
  { logs, again, state }: Pick<ExecuteOptions, 'logs' | 'again'> & { readonly state?: string | undefined },
): SlipwayError {
  const log = step.host === undefined ? undefined : logs.get(step.host)?.file;
  const where = step.host === undefined ? '' : `${step.host}: `;
  const hint = [
    isSlipwayError(error) ? error.hint : undefined,
    log === undefined ? undefined : `the whole output is in ${log}`,
    state,
    `${again} goes on from here`,
  ];
  const details = isSlipwayError(error) ? error.details : undefined;
  return new SlipwayError(
    isSlipwayError(error) ? error.code : 'E_INTERNAL',
    `${where}${step.title} failed: ${messageOf(error)}`,
    {
      hint: hint.filter((part) => part !== undefined).join('; '),
      cause: error,
      details: { ...details, step: step.id, host: step.host ?? null, log: log ?? null },
    },
  );
}

/**
 * Steps that hold as the hosts are now. They are asked about all at once, which saves a way to the hosts and back for every phase; only
 * where nothing is likely to be left to do, for in a cluster that is being made the later steps cannot be asked yet.
 */
async function doneAhead(
  plan: Plan,
  { done, concurrency, signal, abort }: ExecuteOptions,
): Promise<ReadonlySet<string>> {
  const settled = plan.every(({ steps }) =>
    steps.every(({ id, inputs }) => {
      const last = done.get(id);
      return last?.event === 'done' && last.inputs === inputs;
    }),
  );
  if (!settled) return new Set();
  const both = abort === undefined ? signal : AbortSignal.any([signal, abort]);
  setMaxListeners(0, both);
  // Thrown is only the end of the signals, which whoever runs the steps sees too.
  const items = await inspectPlan(plan, done, { concurrency, signal: both, silent: new Set() }).catch(() => []);
  return new Set(items.flatMap(({ id, state }) => (state === 'done' ? [id] : [])));
}

/** True when the step ran, false when it was done already. */
async function runStep(
  step: Step,
  phase: PlannedPhase,
  {
    failedHosts,
    seen,
    changing,
  }: {
    readonly failedHosts: ReadonlySet<string>;
    /** Steps that are known to be done, so are not asked about. */
    readonly seen: ReadonlySet<string>;
    /** Called before something is changed. */
    readonly changing: () => void;
  },
  { journal, done, logs, reporter, signal: interrupt, abort }: ExecuteOptions,
): Promise<boolean> {
  const { id, inputs } = step;
  const signal = abort ?? new AbortController().signal;
  const log = step.host === undefined ? undefined : logs.get(step.host);
  const name = `[${phase.name}] ${step.host === undefined ? '' : `${step.host} `}${step.title}`;
  if (seen.has(id) || (await isDone(step, done.get(id), signal)).holds) {
    reporter.debug(`${name}: done already`);
    // A journal that was lost, or never heard of it, learns of it.
    if (done.get(id)?.event !== 'done') await journal.write({ step: id, event: 'done', inputs });
    return false;
  }
  changing();
  log?.note(`== ${step.title}`);
  await journal.write({ step: id, event: 'started', inputs });
  const task = reporter.task(name);
  const began = Date.now();
  try {
    const note = await step.run({ note: (line) => log?.note(line), signal, interrupt, failedHosts });
    await journal.write({ step: id, event: 'done', inputs });
    task.done(note ?? formatDuration(Date.now() - began));
    return true;
  } catch (error) {
    await journal.write({ step: id, event: 'failed', inputs, message: firstLine(error) });
    log?.note(`== failed: ${messageOf(error)}`);
    task.fail(`failed: ${firstLine(error)}`);
    throw error;
  }
}

function interrupted({ again }: ExecuteOptions): SlipwayError {
  return new SlipwayError('E_INTERRUPTED', 'interrupted; what was running has finished', {
    hint: `${again} goes on from here`,
  });
}

function firstLine(error: unknown): string {
  return messageOf(error).split('\n', 1)[0] ?? '';
}

import { mapLimit } from '../../base/concurrency.js';
import type { JournalEntry } from '../state/journal.js';
import type { Phase, Step } from './step.js';

/** A phase with its steps, ready to be run. */
export interface PlannedPhase {
  readonly name: string;
  readonly title: string;
  readonly serial: boolean;
  readonly stopsAtFailure: boolean;
  readonly limit: number | undefined;
  readonly steps: readonly Step[];
}

/** Everything there is to do, in order. */
export type Plan = readonly PlannedPhase[];

/** Makes a plan of a list of phases. Phases without steps are left out. Asks nobody anything. */
export function makePlan<C>(phases: readonly Phase<C>[], context: C): Plan {
  return phases.flatMap(({ name, title, serial = false, stopsAtFailure = false, limit, steps }) =>
    byTurn(steps(context)).map((some) => ({
      name,
      title,
      serial,
      stopsAtFailure,
      limit: limit?.(context),
      steps: some,
    })),
  );
}

/** Steps that may run at once, in the order of their turns. */
function byTurn(steps: readonly Step[]): readonly (readonly Step[])[] {
  const turns = [...new Set(steps.map(({ turn = 0 }) => turn))].sort((a, b) => a - b);
  return turns.map((turn) => steps.filter((step) => (step.turn ?? 0) === turn));
}

/** What a plan says about one step, as data. */
export interface PlanItem {
  readonly id: string;
  readonly phase: string;
  readonly host: string | null;
  readonly title: string;
  readonly why: string;
  readonly inputs: string;
  /** `unknown` when it could not be asked (the host has not got so far). */
  readonly state: 'done' | 'todo' | 'unknown';
}

/** A plan as `--format json` prints it. */
export interface PlanDocument {
  readonly schema: 1;
  readonly cluster: string;
  readonly image: string;
  readonly imageDigest: string;
  readonly version: string;
  /** What must be mended before any of it is done. */
  readonly problems: readonly { readonly host: string | null; readonly problem: string; readonly hint: string }[];
  readonly warnings: readonly string[];
  readonly notes: readonly string[];
  readonly steps: readonly PlanItem[];
}

/**
 * Asks for each step whether it is done already. Changes nothing. A step that cannot be asked yet is `unknown`, which is no failure:
 * on a new host there is nobody to answer.
 */
export async function inspectPlan(
  plan: Plan,
  journal: ReadonlyMap<string, JournalEntry>,
  {
    concurrency,
    signal,
    silent,
  }: {
    readonly concurrency: number;
    readonly signal: AbortSignal;
    /** Hosts that do not answer: they are not asked again for every step. */
    readonly silent: ReadonlySet<string>;
  },
): Promise<PlanItem[]> {
  const steps = plan.flatMap((phase) => phase.steps.map((step) => ({ phase, step })));
  return mapLimit(steps, concurrency, async ({ phase, step }) => {
    const { id, host, title, why, inputs } = step;
    const item = { id, phase: phase.name, host: host ?? null, title, inputs };
    signal.throwIfAborted();
    if (host === undefined ? silent.size > 0 : silent.has(host)) return { ...item, state: 'unknown', why } as const;
    try {
      const answer = await isDone(step, journal.get(id), signal);
      return { ...item, state: answer.holds ? 'done' : 'todo', why: answer.why ?? why } as const;
    } catch {
      signal.throwIfAborted();
      return { ...item, state: 'unknown', why } as const;
    }
  });
}

/** Whether a step need not run: see {@link Step.proof}. */
export async function isDone(
  step: Step,
  last: JournalEntry | undefined,
  signal: AbortSignal,
): Promise<{ readonly holds: boolean; readonly why?: string }> {
  if (step.proof === 'journal') {
    if (last === undefined) return { holds: false };
    if (last.event !== 'done') return { holds: false, why: 'an earlier run did not finish it' };
    if (last.inputs !== step.inputs) return { holds: false, why: 'what it is made from has changed' };
  }
  return step.check === undefined ? { holds: step.proof === 'journal' } : step.check(signal);
}

/** The plan for people: phases, and under each its hosts and steps with the reason. */
export function formatPlan(document: PlanDocument, titles: ReadonlyMap<string, string>): string {
  const lines = [
    `cluster ${document.cluster}: ${document.image} (Kubernetes ${document.version})`,
    ...document.problems.map(({ host, problem, hint }) => {
      const where = host === null || problem.includes(host) ? '' : `${host}: `;
      return `problem: ${where}${problem}\n         ${hint}`.replaceAll('\n', '\n  ');
    }),
    ...document.warnings.map((warning) => `warning: ${warning}`),
    ...document.notes.map((note) => `note: ${note}`),
  ];
  let phase: string | undefined;
  for (const item of document.steps) {
    if (item.phase !== phase) {
      phase = item.phase;
      lines.push('', titles.get(item.phase) ?? item.phase);
    }
    const mark = item.state === 'done' ? '=' : '+';
    const reason = item.state === 'done' ? 'done already' : item.why;
    lines.push(`  ${mark} ${(item.host ?? 'here').padEnd(15)} ${item.title}: ${reason}`);
  }
  const count = (state: PlanItem['state']): number => document.steps.filter((item) => item.state === state).length;
  const open = count('todo') + count('unknown');
  const blocked = document.problems.length > 0 ? '; nothing is done before the problems are mended' : '';
  lines.push('', open === 0 ? 'nothing to do' : `${open} to do, ${count('done')} done already${blocked}`);
  return `${lines.join('\n')}\n`;
}

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
  /** See {@link Phase.whenStopped}. */
  whenStopped(finished: ReadonlySet<string>): string | undefined;
  readonly steps: readonly Step[];
}

/** Everything there is to do, in order. */
export type Plan = readonly PlannedPhase[];

/** Makes a plan of a list of phases. Phases without steps are left out. Asks nobody anything. */
export function makePlan<C>(phases: readonly Phase<C>[], context: C): Plan {
  return phases.flatMap(({ name, title, serial = false, stopsAtFailure = false, whenStopped, limit, steps }) =>
    byTurn(steps(context)).map((some) => ({
      name,
      title,
      serial,
      stopsAtFailure,
      limit: limit?.(context),
      whenStopped: (finished) => whenStopped?.(context, finished),
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
    /** Hosts asked at once. */
    readonly concurrency: number;
    readonly signal: AbortSignal;
    /** Hosts that do not answer: they are not asked again for every step. */
    readonly silent: ReadonlySet<string>;
  },
): Promise<PlanItem[]> {
  const steps = plan.flatMap((phase) => phase.steps.map((step) => ({ phase, step })));
  // Everything that is asked of a host is asked at once: it travels together.
  const hosts = [...new Set(steps.map(({ step }) => step.host))];
  const answers = await mapLimit(hosts, concurrency, async (host) => {
    const ofHost = steps.filter(({ step }) => step.host === host);
    return Promise.all(ofHost.map(async (planned) => [planned, await inspect(planned)] as const));
  });
  const items = new Map(answers.flat());
  return steps.flatMap((planned) => items.get(planned) ?? []);

  async function inspect({ phase, step }: (typeof steps)[number]): Promise<PlanItem> {
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
  }
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

/** `k3s v1.30.4+k3s1`, `Kubernetes v1.20.2`: a version says of whom it is, where it is not Kubernetes' own. */
export function productName(version: string): string {
  return `${/\+(k[03]s)/.exec(version)?.[1] ?? 'Kubernetes'} ${version}`;
}

/** The plan for people: phases in which something is to do, and under each its hosts and steps with the reason. */
export function formatPlan(document: PlanDocument, titles: ReadonlyMap<string, string>): string {
  const lines = [
    `cluster ${document.cluster}: ${document.image} (${productName(document.version)})`,
    ...document.problems.map(({ host, problem, hint }) => {
      const where = host === null || problem.includes(host) ? '' : `${host}: `;
      return `problem: ${where}${problem}\n         ${hint}`.replaceAll('\n', '\n  ');
    }),
    ...document.warnings.map((warning) => `warning: ${warning}`),
    ...document.notes.map((note) => `note: ${note}`),
  ];
  // What is done already is said where something is left to do; a phase that is through says nothing.
  for (const phase of new Set(document.steps.map((item) => item.phase))) {
    const items = document.steps.filter((item) => item.phase === phase);
    const open = items.filter(({ state }) => state !== 'done');
    if (open.length === 0) continue;
    lines.push('', titles.get(phase) ?? phase);
    for (const { host, title, why } of open) lines.push(`  + ${(host ?? 'here').padEnd(15)} ${title}: ${why}`);
    const done = [...new Set(items.filter((item) => !open.includes(item)).map(({ host }) => host ?? 'here'))];
    if (done.length > 0) lines.push(`  = done already  ${done.join(', ')}`);
  }
  const count = (state: PlanItem['state']): number => document.steps.filter((item) => item.state === state).length;
  const open = count('todo') + count('unknown');
  const blocked = document.problems.length > 0 ? '; nothing is done before the problems are mended' : '';
  lines.push('', open === 0 ? 'nothing to do' : `${open} to do, ${count('done')} done already${blocked}`);
  return `${lines.join('\n')}\n`;
}

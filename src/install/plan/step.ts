import { type Digest, digestOf } from '../../image/digest.js';

/** Whether a step is done already; if not, why, for people. */
export interface StepCheck {
  readonly holds: boolean;
  /** `312 files, 703MB to send` */
  readonly why?: string;
}

/** What a running step gets. */
export interface StepRun {
  /** Takes a line for the log of the host. The output of commands gets there by itself. */
  readonly note: (line: string) => void;
  /** Aborted when the work must stop at once (the lock of a host was lost); not by the first Ctrl-C, which lets steps finish. */
  readonly signal: AbortSignal;
  /** Aborted by the first Ctrl-C: for steps that only wait, and lose nothing when they end early. */
  readonly interrupt: AbortSignal;
  /** Addresses of hosts that failed earlier in this run: they are not waited for. */
  readonly failedHosts: ReadonlySet<string>;
}

/** One thing that is done on one host (or here), and known when it is done. */
export interface Step {
  /** `distribute@10.0.0.3`; the journal knows it by this. */
  readonly id: string;
  /** Address of the host; undefined for work on this machine. */
  readonly host: string | undefined;
  /** `send the rootfs` */
  readonly title: string;
  /** Why it is in the plan: `node of the cluster`. */
  readonly why: string;
  /** Identifies what the step is made from: another digest means that it must be done again. */
  readonly inputs: Digest;
  /**
   * What proves that it is done. `check`: the check alone, it sees everything. `journal`: the journal must say that it was done with the
   * same inputs, and the check, if there is one, must hold as well.
   */
  readonly proof: 'check' | 'journal';
  /** Steps of one phase with a later turn begin when those of the earlier ones have ended; 0 when not given. */
  readonly turn?: number;
  /** Asks the host; changes nothing. */
  check?(signal: AbortSignal): Promise<StepCheck>;
  /** Does it; what it gives is shown beside the title: `703MB in 8.1s`. */
  run(run: StepRun): Promise<string | undefined>;
}

/** A named part of the work. A plan is a visible list of these; each is one file. */
export interface Phase<C> {
  readonly name: string;
  /** `Send the rootfs` */
  readonly title: string;
  /** Its steps run one after the other. */
  readonly serial?: boolean;
  /** When one of its steps fails, nothing more is begun, also when its host could be left behind. */
  readonly stopsAtFailure?: boolean;
  /** What is whole when it stops before its end, and what can be done, for the hint; `finished` has the ids of steps that are done. */
  readonly whenStopped?: (context: C, finished: ReadonlySet<string>) => string | undefined;
  /** Its steps share this bound instead of the one for hosts. */
  readonly limit?: (context: C) => number;
  steps(context: C): readonly Step[];
}

/** A phase for work in which that of another phase is found; without steps where it is not. */
export function phaseOf<C, D>(
  { steps, limit, whenStopped, ...same }: Phase<C>,
  find: (context: D) => C | undefined,
): Phase<D> {
  /** Asked only of phases that have steps. */
  const found = (context: D): C => find(context) as C;
  return {
    ...same,
    ...(limit === undefined ? {} : { limit: (context) => limit(found(context)) }),
    ...(whenStopped === undefined ? {} : { whenStopped: (context, finished) => whenStopped(found(context), finished) }),
    steps(context) {
      const inner = find(context);
      return inner === undefined ? [] : steps(inner);
    },
  };
}

/** The digest of what a step is made from. */
export function inputsDigest(...facts: readonly unknown[]): Digest {
  return digestOf(JSON.stringify(facts));
}

/** The id of a step. */
export function stepId(name: string, host?: string): string {
  return host === undefined ? name : `${name}@${host}`;
}

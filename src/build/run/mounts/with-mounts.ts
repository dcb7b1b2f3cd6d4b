import { removeTree } from '../../../base/remove-tree.js';
import { withCleanup } from '../../../base/with-cleanup.js';
import type { BuildJob } from '../../job.js';
import type { SandboxMount } from '../../sandbox/sandbox-request.js';
import type { MountUse, PlannedMount } from './planned-mount.js';

/** What a command gets of its mounts. */
export interface MadeMounts {
  readonly mounts: readonly SandboxMount[];
  /** Secrets that are variables of the command. */
  readonly variables: Readonly<Record<string, string>>;
}

/**
 * Makes the planned mounts, does `work`, and takes them away again, whatever happens.
 *
 * Caches are taken in use first, in the order of their names, so that no two builds wait for each other for ever.
 */
export async function withMounts<T>(
  { store }: Pick<BuildJob, 'store'>,
  planned: readonly PlannedMount[],
  work: (made: MadeMounts) => Promise<T>,
): Promise<T> {
  const undo: (() => Promise<void>)[] = [];
  const known = new Map<string, Promise<string>>();
  const use: MountUse = {
    async newPlace() {
      const place = await store.temp.path('mount');
      undo.push(() => removeTree(place));
      return place;
    },
    afterwards: (step) => undo.push(step),
    once(name, make) {
      const made = known.get(name) ?? make();
      known.set(name, made);
      return made;
    },
  };
  const makeAndWork = async (): Promise<T> => {
    const made = new Map<PlannedMount, SandboxMount | undefined>();
    for (const mount of [...planned].sort(byCache)) made.set(mount, await mount.make(use));
    const mounts = planned.map((mount) => made.get(mount)).filter((mount) => mount !== undefined);
    const variables = planned.flatMap(({ secretVariable }) => (secretVariable === undefined ? [] : [secretVariable]));
    return work({ mounts, variables: Object.fromEntries(variables.map(({ name, value }) => [name, value])) });
  };
  return withCleanup(makeAndWork, () => undoAll(undo));
}

function byCache({ cache: a }: PlannedMount, { cache: b }: PlannedMount): number {
  if (a === b) return 0;
  if (a === undefined || b === undefined) return a === undefined ? 1 : -1;
  return a < b ? -1 : 1;
}

/** Last one first. A failure does not keep the others from being done; the first one is thrown. */
async function undoAll(undo: readonly (() => Promise<void>)[]): Promise<void> {
  const failures: unknown[] = [];
  for (const step of [...undo].reverse()) await step().catch((error: unknown) => failures.push(error));
  if (failures.length > 0) throw failures[0];
}

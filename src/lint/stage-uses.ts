import type { Instruction, Kubefile } from '../kubefile-parser/ast.js';
import type { StageOrImage } from '../kubefile-parser/parts.js';

/** What `--from=` and the mounts of an instruction name. */
export function referencesOf(instruction: Instruction): readonly StageOrImage[] {
  const found =
    instruction.kind === 'COPY'
      ? [instruction.from]
      : instruction.kind === 'RUN'
        ? instruction.mounts.map((mount) => (mount.type === 'bind' || mount.type === 'cache' ? mount.from : undefined))
        : [];
  return found.filter((reference) => reference !== undefined);
}

/** The index of the stage that is built; undefined when there is none of that name. */
export function targetIndex({ stages }: Kubefile, target: string | undefined): number | undefined {
  if (target === undefined) return stages.length === 0 ? undefined : stages.length - 1;
  const named = stages.find(({ from }) => from.name === target.toLowerCase());
  if (named !== undefined) return named.from.index;
  const index = /^\d{1,6}$/.test(target) ? Number(target) : -1;
  return stages[index] === undefined ? undefined : index;
}

/** The stages that one needs, itself among them; `uses` has for every stage those it names. */
export function reachable(uses: readonly (readonly number[])[], from: number): ReadonlySet<number> {
  const found = new Set<number>();
  const todo = [from];
  for (let stage = todo.pop(); stage !== undefined; stage = todo.pop()) {
    if (found.has(stage)) continue;
    found.add(stage);
    todo.push(...(uses[stage] ?? []));
  }
  return found;
}

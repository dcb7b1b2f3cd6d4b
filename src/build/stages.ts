import { SlipwayError } from '../base/errors.js';
import { suggest } from '../base/suggest.js';
import type { Kubefile, Stage } from '../kubefile-parser/ast.js';

/**
 * The stage that `--target` names, by name or number; the last when nothing is named.
 * @throws SlipwayError E_USAGE with the nearest name.
 */
export function targetStage({ stages, file }: Kubefile, target: string | undefined): Stage {
  const found =
    target === undefined
      ? stages.at(-1)
      : (stages.find(({ from }) => from.name === target.toLowerCase()) ??
        (/^\d+$/.test(target) ? stages[Number(target)] : undefined));
  if (found !== undefined) return found;
  const names = stages.flatMap(({ from }) => (from.name === undefined ? [] : [from.name]));
  const near = suggest(target ?? '', names);
  throw new SlipwayError('E_USAGE', `${file} has no stage ${JSON.stringify(target)}`, {
    hint:
      near === undefined ? `its stages: ${names.join(', ') || `0 to ${stages.length - 1}`}` : `did you mean ${near}?`,
  });
}

/** The stages a target needs, itself last, in the order of the file. A FROM with variables may name any earlier stage, so those stay. */
export function neededStages({ stages }: Kubefile, target: Stage): Stage[] {
  const needed = new Set<number>();
  const need = ({ from }: Stage): void => {
    if (needed.has(from.index)) return;
    needed.add(from.index);
    const direct = from.stage === undefined ? undefined : stages[from.stage];
    if (direct !== undefined) need(direct);
    else if (from.image.raw.includes('$')) for (const earlier of stages.slice(0, from.index)) need(earlier);
  };
  need(target);
  return stages.filter(({ from }) => needed.has(from.index));
}

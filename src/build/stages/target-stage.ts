import { SlipwayError } from '../../base/errors.js';
import { suggest } from '../../base/suggest.js';
import type { Kubefile, Stage } from '../../kubefile-parser/ast.js';

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

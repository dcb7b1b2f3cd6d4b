import type { AddInstruction, CopyInstruction } from '../../kubefile-parser/ast.js';
import type { MergedTree } from '../../layers/merge.js';
import type { BuildJob } from '../job.js';
import type { StageState } from '../stages/stage.js';
import { neutralTime } from '../times.js';
import type { ExpandWord } from '../variables/expand.js';
import { parseChmod } from './chmod.js';
import { compileExcludes } from './exclude.js';
import { resolveOwner } from './owner.js';
import type { Changes } from './place.js';
import { stageUserFiles } from './user-files.js';

/**
 * What the flags of a COPY or ADD change. Names of `--chown` are looked up in the image.
 * @returns `facts` is what of the flags makes a difference, for the cache key.
 * @throws SlipwayError E_COPY for a flag that cannot be understood, E_NOT_FOUND …
 */
export async function readChanges(
  job: BuildJob,
  state: StageState,
  tree: MergedTree,
  { chown, chmod, exclude }: CopyInstruction | AddInstruction,
  expand: ExpandWord,
): Promise<{ readonly changes: Changes; readonly facts: readonly unknown[] }> {
  const owner = chown === undefined ? '' : expand(chown);
  const mode = chmod === undefined ? '' : expand(chmod);
  const patterns = exclude.map((word) => expand(word));
  const excludes = compileExcludes(patterns);
  // An empty value is none, so that a variable can leave a flag away.
  const ids = owner === '' ? undefined : await resolveOwner(owner, stageUserFiles(job.store, state, tree));
  const changes = {
    time: neutralTime(job),
    ...(ids === undefined ? {} : { owner: ids }),
    ...(mode === '' ? {} : { mode: parseChmod(mode) }),
    ...(excludes === undefined ? {} : { excludes }),
  };
  return { changes, facts: [ids, mode, patterns] };
}

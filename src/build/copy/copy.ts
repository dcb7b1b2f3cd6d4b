import { isSlipwayError, SlipwayError } from '../../base/errors.js';
import type { CopyInstruction } from '../../kubefile-parser/ast.js';
import type { BuildJob } from '../job.js';
import type { Outcome } from '../outcome.js';
import { at } from '../place.js';
import { type StageState, stageTree } from '../stages/stage.js';
import type { ExpandWord } from '../variables/expand.js';
import { readChanges } from './changes.js';
import { planCopy } from './copy-plan.js';
import { heredocSource } from './heredoc-source.js';
import { type NamedSource, type Pick, pickSources } from './pick.js';
import type { SourceTree } from './source-tree.js';
import { stageSource } from './stage-source.js';
import { runTransfer } from './transfer.js';

/** COPY: from the build context, a stage or an image, and heredocs. */
export async function runCopy(
  job: BuildJob,
  state: StageState,
  instruction: CopyInstruction,
  expand: ExpandWord,
  step: string,
): Promise<Outcome> {
  const { from, position, link, parents } = instruction;
  return at(job, from?.position ?? instruction.sources[0]?.position ?? position, async () => {
    const { dialect } = job.kubefile.directives;
    const base = await stageTree(job.store, state);
    const tree = from === undefined ? job.context : await sourceOf(job, from);
    const sources: NamedSource[] = [
      ...instruction.sources.map((word) => ({ tree, name: expand(word) })),
      ...instruction.heredocs.map((heredoc) => heredocSource(job, state, heredoc)),
    ];
    const destination = expand(instruction.destination);
    const { changes, facts: flags } = await readChanges(job, state, base, instruction, expand);
    const { picks, warnings } = pickWithHint(job, instruction, () => pickSources(sources, { dialect, parents }));
    for (const warning of warnings) job.reporter.warn(`${instruction.source}: ${warning}`);
    const planned = planCopy({ picks, destination, workdir: state.workdir, base, link, parents, changes });
    const names = sources.map(({ name }) => name);
    const facts = [dialect, state.workdir, names, destination, link, parents, flags];
    return runTransfer(job, state, { instruction, facts, link, planned }, step);
  });
}

async function sourceOf(job: BuildJob, from: NonNullable<CopyInstruction['from']>): Promise<SourceTree> {
  const state = await job.stages.from(from);
  const what = `${from.stage === undefined ? 'the image' : 'stage'} ${from.name}`;
  return stageSource(await stageTree(job.store, state), state.layers, what);
}

type Picked = { readonly picks: readonly Pick[]; readonly warnings: readonly string[] };

/** A source that comes from the platform is missing for another reason than a spelling mistake. */
function pickWithHint({ platform }: BuildJob, { sources }: CopyInstruction, pick: () => Picked): Picked {
  try {
    return pick();
  } catch (error) {
    const arch = sources.find(({ raw }) => /\$\{?(?:TARGET)?ARCH\b/.test(raw));
    if (!isSlipwayError(error, 'E_COPY') || error.hint !== undefined || arch === undefined) throw error;
    throw new SlipwayError('E_COPY', error.message, {
      hint: `${arch.raw} is what belongs to ${platform.architecture}: fetch it first (the base images have a fetch.sh), or build for a --platform that is there`,
      cause: error,
    });
  }
}

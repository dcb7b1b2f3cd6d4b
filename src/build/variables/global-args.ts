import { expandWord } from '../../kubefile-parser/expand.js';
import type { Word } from '../../kubefile-parser/parts.js';
import type { BuildJob } from '../job.js';
import { expander } from './expand.js';
import { own, PROXY_VARIABLES, platformVariables } from './variables.js';

type GlobalJob = Pick<BuildJob, 'kubefile' | 'reporter' | 'platform' | 'buildArgs'>;

/** ARGs before the first FROM, each seeing those before it. */
export function declareGlobalArgs(job: GlobalJob): Record<string, string> {
  const values: Record<string, string> = {};
  const lookup = globalLookup(job, values);
  for (const { args } of job.kubefile.globalArgs) {
    for (const { name: word, default: fallback } of args) {
      const expand = expander(job, lookup);
      const name = expand(word);
      const value = own(job.buildArgs, name) ?? (fallback === undefined ? undefined : expand(fallback));
      if (value !== undefined) values[name] = value;
    }
  }
  return values;
}

/** What a name stands for in FROM: a global ARG, or what is predefined. */
export function globalLookup(
  { platform }: Pick<BuildJob, 'platform'>,
  globalArgs: Readonly<Record<string, string>>,
): (name: string) => string | undefined {
  const predefined = platformVariables(platform);
  return (name) => own(globalArgs, name) ?? own(predefined, name);
}

/** The value of a word, without a warning about what is not set; undefined when it has none. */
export function quietValue(
  { kubefile }: Pick<BuildJob, 'kubefile'>,
  { raw }: Word,
  lookup: (name: string) => string | undefined,
): string | undefined {
  try {
    return expandWord(raw, lookup, { escape: kubefile.directives.escape }).value;
  } catch {
    return undefined;
  }
}

/** Says which `--build-arg` no ARG of the file asks for. */
export function warnUnusedArgs({ kubefile, buildArgs, reporter }: Omit<GlobalJob, 'platform'>): void {
  const declared = new Set<string>([...PROXY_VARIABLES]);
  const instructions = [...kubefile.globalArgs, ...kubefile.stages.flatMap((stage) => stage.instructions)];
  for (const instruction of instructions) {
    if (instruction.kind === 'ARG') for (const { name } of instruction.args) declared.add(name.raw);
  }
  const unused = Object.keys(buildArgs).filter((name) => !declared.has(name));
  if (unused.length > 0) reporter.warn(`no ARG declares ${unused.join(', ')}: --build-arg had no effect`);
}

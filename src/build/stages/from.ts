import { isSlipwayError, SlipwayError } from '../../base/errors.js';
import { formatPlatform, type Platform, parsePlatform, samePlatform } from '../../image/platform.js';
import type { FromInstruction } from '../../kubefile-parser/ast.js';
import { findStage } from '../../kubefile-parser/stages.js';
import { findImage, type LocalImage, nearName, readImage } from '../../store/local-image.js';
import type { BuildJob } from '../job.js';
import { at } from '../place.js';
import type { ExpandWord } from '../variables/expand.js';
import { DEFAULT_PATH } from '../variables/variables.js';
import { emptyStage, type StageState, stageFrom } from './stage.js';

/**
 * FROM: `scratch`, an earlier stage, an image of the store, or one that is pulled. `--pull always` asks the registry first, `never`
 * only looks here.
 */
export async function runFrom(job: BuildJob, from: FromInstruction, expand: ExpandWord): Promise<StageState> {
  return at(job, from.image.position, async () => {
    const platform = from.platform === undefined ? job.platform : parsePlatform(expand(from.platform));
    const name = expand(from.image);
    const stage = from.stage ?? findStage(job.kubefile.stages, name, from.index);
    if (stage !== undefined) return { ...(await job.stages.stage(stage)), args: {} };
    if (name === 'scratch') {
      const nothing = emptyStage(platform);
      return job.kubefile.directives.dialect === 'docker' ? { ...nothing, env: { PATH: DEFAULT_PATH } } : nothing;
    }
    if (name === '')
      throw new SlipwayError('E_INVALID_REFERENCE', `FROM ${from.image.raw}: the image name is empty`, {
        hint: 'give the variable a value with --build-arg',
      });
    return job.stages.image(name, platform);
  });
}

/**
 * The state that an image of the store, or one that is pulled, gives a stage.
 * @throws SlipwayError E_NOT_FOUND when there is none for the platform, and whatever pulling throws.
 */
export async function imageStage(
  job: Pick<BuildJob, 'store' | 'pull' | 'registry' | 'reporter'>,
  name: string,
  platform: Platform,
): Promise<StageState> {
  const image = await baseImage(job, name, platform);
  if (!samePlatform(image.platform, platform)) {
    throw new SlipwayError(
      'E_NOT_FOUND',
      `${name} is for ${formatPlatform(image.platform)}, the build is for ${formatPlatform(platform)}`,
    );
  }
  const triggers = image.config.config?.OnBuild;
  if (Array.isArray(triggers) && triggers.length > 0)
    job.reporter.warn(`${name} has ONBUILD instructions, which are not run: ${triggers.map(String).join('; ')}`);
  return stageFrom(image);
}

/** An image of the store, or one that is pulled. @throws SlipwayError as {@link imageStage} */
export async function baseImage(
  { store, pull, registry, reporter }: Pick<BuildJob, 'store' | 'pull' | 'registry' | 'reporter'>,
  name: string,
  platform: Platform,
): Promise<LocalImage> {
  if (pull !== 'always') {
    try {
      return await readImage(store, name, platform);
    } catch (error) {
      if (!isSlipwayError(error, 'E_NOT_FOUND')) throw error;
      if (pull === 'never')
        throw new SlipwayError('E_NOT_FOUND', `${error.message}, and --pull=never forbids to ask a registry`, {
          cause: error,
        });
    }
  }
  const { pullImage } = await import('../../registry/pull.js'); // most builds ask no registry
  try {
    await pullImage(store, name, { ...registry, platform, reporter });
  } catch (error) {
    if (pull === 'always' || !isSlipwayError(error) || error.code === 'E_INTERRUPTED') throw error;
    // Who builds from an image of this machine does not expect a registry to be asked at all.
    throw new SlipwayError(error.code, error.message, {
      cause: error,
      hint: (await isInStore(store, name))
        ? `the store has ${name}, but not for ${formatPlatform(platform)}: build it for that platform too, or pull it from where it is`
        : await hintWhereNone(store, name, error.hint),
      ...(error.details !== undefined && { details: error.details }),
    });
  }
  return readImage(store, name, platform);
}

/** The registry was asked because the store has no such image: the name that was meant, perhaps, before what the registry's answer calls for. */
async function hintWhereNone(store: BuildJob['store'], name: string, hint: string | undefined): Promise<string> {
  const near = nearName(
    name,
    (await store.images()).map((image) => image.name),
  );
  const meant = near === undefined ? 'build or load it first' : `did you mean ${near}?`;
  return `the store has no ${name}, so that registry was asked: ${meant}${hint === undefined ? '' : `; else: ${hint}`}`;
}

/** Whether the store has an image of that name, whatever it is for. */
async function isInStore(store: BuildJob['store'], name: string): Promise<boolean> {
  try {
    await findImage(store, name);
    return true;
  } catch (error) {
    if (isSlipwayError(error, 'E_NOT_FOUND')) return false;
    throw error;
  }
}

import { SlipwayError } from '../../base/errors.js';
import type { WorkdirInstruction } from '../../kubefile-parser/ast.js';
import type { MergedTree } from '../../layers/merge.js';
import type { PackEntry } from '../../layers/toc.js';
import type { Store } from '../../store/store.js';
import { stageUserFiles } from '../copy/user-files.js';
import { type BuildJob, createdTime } from '../job.js';
import { makeLayer } from '../make-layer.js';
import { configDone, instructionDone, type Outcome } from '../outcome.js';
import { at } from '../place.js';
import { resolveUser } from '../sandbox/rootfs-user.js';
import { nextKey, type StageState, stageTree } from '../stages/stage.js';
import { neutralTime } from '../times.js';
import type { ExpandWord } from '../variables/expand.js';

/**
 * WORKDIR: sets the directory, and makes it when it is missing: mode 0755, and of the USER, as Docker does. That is a layer of its own.
 * @throws SlipwayError E_COPY when something that is no directory stands there, E_NOT_FOUND when the USER has no number.
 */
export async function runWorkdir(
  job: BuildJob,
  state: StageState,
  instruction: WorkdirInstruction,
  expand: ExpandWord,
  step: string,
): Promise<Outcome> {
  return at(job, instruction.position, async () => {
    const workdir = nextWorkdir(state.workdir, expand(instruction.path));
    const tree = await stageTree(job.store, state);
    const missing = missingDirectories(tree, workdir);
    if (missing.length === 0) return configDone(state, instruction, { workdir });
    const owner = await ownerOf(job.store, state, tree);
    const scope = nextKey(state.key, 'WORKDIR', missing, owner, job.compression, job.compressionLevel, job.epoch);
    const key = nextKey(scope, workdir);
    const known = job.useCache ? await job.cache.get(scope, key) : undefined;
    const { layers, created } = known ?? { layers: [await layer()], created: createdTime(job) };
    if (known === undefined) await job.cache.put(scope, key, { layers, created });
    return instructionDone({ ...state, workdir }, instruction, layers, key, { cached: known !== undefined, created });

    async function layer() {
      const made = missing.map((path) => ({ ...directory(path, owner), mtime: neutralTime(job) }));
      const entries = [...parentsOf(missing[0] ?? '', tree), ...made];
      return (await makeLayer(job, entries, { title: `${step} layer` })).layer;
    }
  });
}

/** A relative WORKDIR continues the one before; `.` and `..` are resolved as text, as Docker does. */
function nextWorkdir(current: string, wanted: string): string {
  const parts: string[] = [];
  for (const part of (wanted.startsWith('/') ? wanted : `${current}/${wanted}`).split('/')) {
    if (part === '..') parts.pop();
    else if (part !== '' && part !== '.') parts.push(part);
  }
  return `/${parts.join('/')}`;
}

/** The directories to make, parents first, links of the image followed. */
function missingDirectories(tree: MergedTree, workdir: string): string[] {
  const { path, found } = tree.resolve(workdir);
  if (path === '' || found?.entry.type === 'dir') return [];
  const missing: string[] = [];
  const parts = path.split('/');
  for (const [index] of parts.entries()) {
    const dir = parts.slice(0, index + 1).join('/');
    const there = tree.get(dir)?.entry;
    if (there === undefined) missing.push(dir);
    else if (there.type !== 'dir')
      throw new SlipwayError('E_COPY', `/${dir} of the image is not a directory, so ${workdir} cannot be one`, {
        hint: 'choose another WORKDIR',
      });
  }
  return missing;
}

interface Owner {
  readonly uid: number;
  readonly gid: number;
}

/** A user that is a number brings the group of the same number, as in Docker; a name brings its group in passwd. */
async function ownerOf(store: Store, state: StageState, tree: MergedTree): Promise<Owner> {
  const { user } = state;
  if (user === '') return { uid: 0, gid: 0 };
  if (/^\d+$/.test(user)) return resolveUser(`${user}:${user}`, undefined, undefined, '');
  const files = stageUserFiles(store, state, tree);
  return resolveUser(user, await files.passwd(), await files.group(), "the image's ");
}

function directory(path: string, { uid, gid }: Owner): Omit<PackEntry, 'mtime'> {
  return { path, type: 'dir', mode: 0o755, uid, gid, size: 0 };
}

/** The directories above, as they are in the image: unpackers would otherwise give them attributes of their own. */
function parentsOf(path: string, tree: MergedTree): PackEntry[] {
  const parts = path.split('/').slice(0, -1);
  return parts.flatMap((_, index) => {
    const entry = tree.get(parts.slice(0, index + 1).join('/'))?.entry;
    if (entry === undefined) return [];
    const { path: dir, mode, uid, gid, mtime, xattrs } = entry;
    return [
      { path: dir, type: 'dir' as const, mode, uid, gid, mtime, size: 0, ...(xattrs === undefined ? {} : { xattrs }) },
    ];
  });
}

import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { SlipwayError } from '../../../base/errors.js';
import { type Digest, digestOf } from '../../../image/digest.js';
import type { StageOrImage } from '../../../kubefile-parser/parts.js';
import type { MergedEntry, MergedTree } from '../../../layers/merge.js';
import type { BuildJob } from '../../job.js';
import { type StageState, stageTree } from '../../stages/stage.js';
import { openWritableTree } from '../writable-tree.js';
import type { MountUse } from './planned-mount.js';

/** A file or directory of a finished stage or an image. */
export interface StageSourcePlace {
  /** Over everything that the command can see of it: names, types, modes, owners, times, link targets, attributes, contents. */
  readonly digest: Digest;
  readonly isDirectory: boolean;
  /** Shows it in a directory of this machine; what is written to it is thrown away. @returns its path. */
  readonly show: (use: MountUse) => Promise<string>;
}

/**
 * Looks at what a mount names in a stage or an image, from tables of contents alone.
 * @param source from the root of the stage; links are followed inside it
 * @throws SlipwayError E_NOT_FOUND when there is no such thing; whatever building the stage or pulling the image throws
 */
export async function stageSource(job: BuildJob, from: StageOrImage, source: string): Promise<StageSourcePlace> {
  const state = await job.stages.from(from);
  const tree = await stageTree(job.store, state);
  const { path, found } = tree.resolve(source);
  if (found === undefined)
    throw new SlipwayError('E_NOT_FOUND', `there is no ${JSON.stringify(source)} in ${from.name}`);
  const type = found.entry.type;
  if (type !== 'dir' && type !== 'file' && type !== 'hardlink')
    throw new SlipwayError(
      'E_UNSUPPORTED',
      `cannot mount ${JSON.stringify(source)} of ${from.name}: it is neither file nor directory`,
    );
  return {
    digest: digestBelow(tree, found, path),
    isDirectory: type === 'dir',
    show: (use) => show(job, state, tree, path, use),
  };
}

async function show(job: BuildJob, state: StageState, tree: MergedTree, path: string, use: MountUse): Promise<string> {
  const home = await use.newPlace();
  await mkdir(home, { mode: 0o700 });
  const { dir, release } = await openWritableTree(job, state.layers, tree, home);
  use.afterwards(release);
  return join(dir, path);
}

function digestBelow(tree: MergedTree, top: MergedEntry, path: string): Digest {
  const rows: unknown[] = [rowOf(top, path)];
  const todo = [...tree.children(path)].reverse();
  for (let next = todo.pop(); next !== undefined; next = todo.pop()) {
    rows.push(rowOf(next, path));
    if (next.entry.type === 'dir') todo.push(...[...tree.children(next.entry.path)].reverse());
  }
  return digestOf(JSON.stringify(rows));
}

function rowOf({ entry, source }: MergedEntry, top: string): unknown[] {
  const { path, type, mode, uid, gid, size, mtime, linkTarget, digest, xattrs, devMajor, devMinor } = entry;
  const name = top === '' ? path : path.slice(top.length + 1);
  const content = digest ?? source?.entry.digest;
  return [name, type, mode, uid, gid, size, mtime, linkTarget, content, xattrs, devMajor, devMinor];
}

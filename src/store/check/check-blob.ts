import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { errnoOf, fileSystemError, isSlipwayError, messageOf } from '../../base/errors.js';
import { algorithmOf, type Digest, hexOf } from '../../image/digest.js';
import type { Compression } from '../../image/media-types.js';
import { indexLayer } from '../../layers/index-layer.js';
import type { LayerToc } from '../../layers/toc.js';
import { decodeToc } from '../../layers/toc-file.js';
import { withLock } from '../locks.js';
import { checkTree } from './check-tree.js';

/** One thing to check. Plain data: it travels to a thread. */
export type CheckTask =
  | {
      readonly kind: 'blob';
      readonly digest: Digest;
      readonly file: string;
      /** Set for a layer of a file system: then what it unpacks to is checked in the same pass. */
      readonly layer?: { readonly compression: Compression } & DerivedPlaces;
    }
  /** What was derived from a layer whose blob cannot prove anything: it is not here, damaged, or no image names it. */
  | ({ readonly kind: 'derived'; readonly diffId: Digest } & DerivedPlaces);

export interface DerivedPlaces {
  /** `tocs/` and `data/overlay2/` of the store. */
  readonly tocs: string;
  readonly layers: string;
  /** What the names of unpacked layers end in; those of other users and namespaces can only be compared there. */
  readonly suffix: string;
  /** Hash the files of unpacked layers too. */
  readonly content: boolean;
}

/** What was found. A problem is a short text that completes "this blob …"; undefined means whole. */
export interface CheckVerdict {
  readonly size: number;
  readonly problem?: string | undefined;
  readonly layer?: LayerVerdict | undefined;
}

export interface LayerVerdict {
  /** Undefined when the content cannot be read as a layer. */
  readonly diffId?: Digest | undefined;
  readonly problem?: string | undefined;
  readonly toc: 'absent' | 'whole' | { readonly problem: string };
  readonly unpacked: 'absent' | 'whole' | { readonly problem: string };
}

/**
 * Reads a blob once and proves all that hangs on it: its digest, and for a layer its diffID, its table of contents and its unpacked tree.
 * @param progress called with the number of bytes read since the last call.
 */
export async function runCheck(task: CheckTask, progress: (bytes: number) => void): Promise<CheckVerdict> {
  if (task.kind === 'derived') return { size: 0, layer: await checkDerived(task.diffId, task, undefined) };
  const { file, digest, layer } = task;
  const hash = createHash(algorithmOf(digest));
  let size = 0;
  async function* hashed(): AsyncGenerator<Buffer> {
    for await (const chunk of createReadStream(file, { highWaterMark: 512 * 1024 }) as AsyncIterable<Buffer>) {
      hash.update(chunk);
      size += chunk.length;
      progress(chunk.length);
      yield chunk;
    }
  }
  let toc: LayerToc | undefined;
  let malformed: string | undefined;
  const stream = hashed();
  try {
    if (layer !== undefined) {
      try {
        toc = await indexLayer(keepOpen(stream), layer.compression);
      } catch (error) {
        if (!isSlipwayError(error)) throw error;
        malformed = error.message;
      }
    }
    for await (const _ of stream);
  } catch (error) {
    return { size, problem: `cannot be read: ${damageOf(error, `reading blob ${digest}`)}` };
  }
  const hex = hash.digest('hex');
  if (hex !== hexOf(digest)) {
    return { size, problem: `is damaged: its ${size} bytes have the digest ${algorithmOf(digest)}:${hex}` };
  }
  if (layer === undefined) return { size };
  if (toc === undefined) return { size, layer: { problem: malformed, toc: 'absent', unpacked: 'absent' } };
  return { size, layer: await checkDerived(toc.diffId, layer, toc) };
}

/** A reader that gives up early must not close the stream: the rest of the blob is still to be hashed. */
function keepOpen(stream: AsyncGenerator<Buffer>): AsyncIterable<Buffer> {
  return { [Symbol.asyncIterator]: () => ({ next: () => stream.next() }) };
}

/** @param proven the table of contents as the blob itself says it. */
async function checkDerived(
  diffId: Digest,
  { tocs, layers, suffix, content }: DerivedPlaces,
  proven: LayerToc | undefined,
): Promise<LayerVerdict> {
  const { verdict, kept } = await checkToc(join(tocs, `${hexOf(diffId)}.json.gz`), diffId, proven);
  const home = join(layers, `${hexOf(diffId)}${suffix}`);
  if (!(await stat(home).catch(() => undefined))) return { diffId, toc: verdict, unpacked: 'absent' };
  const toc = proven ?? kept;
  if (toc === undefined) return { diffId, toc: verdict, unpacked: { problem: 'has no table of contents' } };
  // Whoever unpacks the same layer now holds this lock until it is whole.
  const problems = await withLock(`${home}.lock`, 'shared', `layer ${diffId}`, () => treeProblems(home, toc, content));
  return { diffId, toc: verdict, unpacked: problems.length === 0 ? 'whole' : { problem: problems.join('; ') } };
}

async function treeProblems(home: string, toc: LayerToc, content: boolean): Promise<readonly string[]> {
  try {
    return await checkTree(join(home, 'diff'), toc, { content });
  } catch (error) {
    return [damageOf(error, `reading ${home}`)];
  }
}

async function checkToc(
  file: string,
  diffId: Digest,
  proven: LayerToc | undefined,
): Promise<{ readonly verdict: LayerVerdict['toc']; readonly kept?: LayerToc }> {
  let kept: LayerToc;
  try {
    kept = decodeToc(await readFile(file), diffId);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return { verdict: 'absent' };
    return { verdict: { problem: damageOf(error, `reading ${file}`) } };
  }
  if (proven !== undefined && !isDeepStrictEqual(kept, proven))
    return { verdict: { problem: 'it does not say what is in the layer' } };
  return { verdict: 'whole', kept };
}

/**
 * What a failure says of the thing that was read. That the disk cannot give it is damage; that this process may not, or has reached a limit
 * of the system, is none, and must not make a repair take away what is whole.
 * @throws SlipwayError E_SYSTEM, E_PERMISSION, E_NO_SPACE.
 */
function damageOf(error: unknown, what: string): string {
  const failure = fileSystemError(error, what);
  const cause = isSlipwayError(error) ? error.cause : error;
  if (isSlipwayError(failure, 'E_SYSTEM', 'E_PERMISSION', 'E_NO_SPACE') && errnoOf(cause) !== 'EIO') throw failure;
  return messageOf(error);
}

import { dirname } from 'node:path';
import type { CountedCall } from '../../../support/faults/faults.js';
import type { Place } from './scenarios.js';

/**
 * What is read with doubt, and so gets its name without being made durable: a power cut may leave it empty, cut short or full of zeros. To lose it
 * costs only time.
 * - `cache/sources`: where a blob may be mounted from. Lines that are appended; one that is no JSON is skipped.
 * - `cache/diff-ids`: what the blob of a layer has been proved to unpack to. What is not exactly a digest is not known, and the blob is read again
 *   (test/unit/store/store.test.ts, prove.test.ts). To make each durable would cost a flush of the disk for every layer.
 */
const DOUBTED = /\/cache\/(?:sources|diff-ids)\/[0-9a-f]+$/;

/**
 * What a power cut could lose although something that is left needs it: a file that gets its lasting name before its content is on the disk, a
 * name of the index before the blobs that it stands for.
 * @param calls all that a command did, with those that make durable.
 */
export function orderProblems(calls: readonly CountedCall[], { root }: Pick<Place, 'root'>): readonly string[] {
  const problems: string[] = [];
  const written = new Set<string>();
  const renamedIn = new Set<string>();
  const isTemporary = (file: string): boolean => file.startsWith(`${root}/tmp/`);
  for (const { number, kind, what } of calls) {
    const [file = '', target = ''] = what.split(' ');
    if (kind === 'w' || kind === 't') written.add(file);
    else if (kind === 's') {
      written.delete(file);
      renamedIn.delete(file);
    } else if (kind === 'd') written.delete(file);
    else if (kind === 'r') {
      if (!isTemporary(target) && !DOUBTED.test(target)) {
        if (written.has(file)) problems.push(`${number}: ${target} gets its name before its content is on the disk`);
        if (target === `${root}/index.json` && [...renamedIn].some((dir) => dir.startsWith(`${root}/blobs/`)))
          problems.push(`${number}: index.json is replaced before the names of blobs are on the disk`);
        renamedIn.add(dirname(target));
      }
      written.delete(file);
    }
  }
  for (const dir of renamedIn) if (dir === root) problems.push('the last index.json is not on the disk at the end');
  return problems;
}

import { spawnSync } from 'node:child_process';
import type { Transform } from 'node:stream';
import * as zlib from 'node:zlib';
import { Decompress } from 'fzstd';
import { messageOf, SlipwayError } from '../base/errors.js';
import { type FilterProgram, nonEmpty, startFilter, throughFilter } from './filter-program.js';

/** What newer versions of node:zlib have (22.15, 23.8) and older ones have not. */
interface ZstdOfNode {
  readonly createZstdCompress?: (options: { readonly params: Readonly<Record<number, number>> }) => Transform;
  readonly createZstdDecompress?: (options: { readonly chunkSize: number }) => Transform;
  readonly constants: { readonly ZSTD_c_compressionLevel?: number };
}

const ofNode = zlib as unknown as ZstdOfNode;
const PURPOSE = { what: 'zstd compression', debianPackage: 'zstd' };
const CHUNK = 256 * 1024;

const broken = (reason: string): SlipwayError =>
  new SlipwayError('E_BAD_ARCHIVE', `cannot decompress zstd data: ${reason.replace(/^zstd: /, '')}`, {
    hint: 'the data is truncated or damaged: pull or copy it again',
  });

/**
 * A zstd compressor as a pair of streams: Node's own, or the `zstd` program.
 *
 * @throws SlipwayError E_MISSING_PROGRAM (through `ended`) when there is neither.
 */
export function startZstd(level: number): FilterProgram {
  const { createZstdCompress, constants } = ofNode;
  if (createZstdCompress !== undefined) {
    return transformAsFilter(createZstdCompress({ params: { [constants.ZSTD_c_compressionLevel ?? 100]: level } }));
  }
  // The bytes are the same for any number of threads from one up.
  const flags = level > 19 ? ['--ultra'] : [];
  return startFilter(
    'zstd',
    ['-q', '-c', '-T0', ...flags, `-${level}`],
    PURPOSE,
    (reason) => new SlipwayError('E_INTERNAL', `compressing with the program zstd failed: ${reason}`),
  );
}

/**
 * Decompresses zstd: with Node's own, the `zstd` program, or, slowest, in JavaScript.
 *
 * @throws SlipwayError E_BAD_ARCHIVE for data that is truncated or damaged.
 */
export async function* unzstd(stream: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  const { createZstdDecompress } = ofNode;
  const some = nonEmpty(stream, () => broken('it ends too early'));
  if (createZstdDecompress !== undefined) {
    yield* throughFilter(some, transformAsFilter(createZstdDecompress({ chunkSize: CHUNK })));
  } else if (hasZstdProgram()) {
    yield* throughFilter(some, startFilter('zstd', ['-q', '-d', '-c', '-'], PURPOSE, broken));
  } else {
    yield* unzstdInJavaScript(some);
  }
}

/** Without the program and without Node's zstd. */
export async function* unzstdInJavaScript(stream: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let out: Buffer[] = [];
  let complete = false;
  const decoder = new Decompress((chunk, final) => {
    if (chunk.length > 0) out.push(Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength));
    complete = final === true;
  });
  const push = (chunk: Uint8Array, final: boolean): Buffer[] => {
    try {
      decoder.push(chunk, final);
    } catch (error) {
      throw broken(messageOf(error));
    }
    const pieces = out;
    out = [];
    return pieces;
  };
  for await (const chunk of stream) yield* push(Uint8Array.from(chunk), false);
  yield* push(new Uint8Array(0), true);
  if (!complete) throw broken('it ends too early');
}

let programFound: boolean | undefined;

function hasZstdProgram(): boolean {
  programFound ??= spawnSync('zstd', ['--version'], { stdio: 'ignore' }).status === 0;
  return programFound;
}

/** A transform stream of Node in the shape of a program. */
function transformAsFilter(transform: Transform): FilterProgram {
  const ended = new Promise<void>((resolve, reject) => {
    transform.once('end', resolve);
    transform.once('error', (error) => reject(broken(error.message)));
  });
  ended.catch(() => {});
  return { stdin: transform, stdout: transform, ended, kill: () => transform.destroy() };
}

import { realpath, stat } from 'node:fs/promises';
import { setImmediate as turn } from 'node:timers/promises';
import { SlipwayError } from '../base/errors.js';
import { ownerRanges, possibleOwners } from '../base/id-map.js';
import type { Digest } from '../image/digest.js';
import type { Compression } from '../image/media-types.js';
import { ConfinedWriters } from './confined-writers.js';
import { type LayerStream, openLayerStream } from './layer-stream.js';
import { fsPath, pathFromBytes } from './path-bytes.js';
import type { RemoteWriter } from './remote-writer.js';
import { setRequestedXattrs } from './requested-xattrs.js';
import { isSystemRoot, opaqueXattr } from './system-root.js';
import type { TarLimits } from './tar-limits.js';
import { readTar } from './tar-reader.js';
import type { LayerToc } from './toc.js';
import { layerEntryOf, TocBuilder } from './toc-builder.js';
import { type TreeWriterOptions, writeTar } from './tree-writer.js';
import type { WriterTask } from './writer-protocol.js';

/**
 * Bytes that are hashed and listed at once. After each the pieces that wait for the writer are sent on: its socket holds what it writes in a
 * millisecond.
 */
const SLICE = 128 * 1024;

/** What is read while the writer is started. */
const AHEAD = 16 * 1024 * 1024;

export interface UnpackOptions {
  readonly compression: Compression;
  /** An existing directory that nothing else changes meanwhile. */
  readonly dir: string;
  /**
   * `apply`: whiteouts delete what is in `dir` from the layers below. `overlay`: `dir` is for this layer alone and becomes a lower
   * directory of overlayfs; whiteouts become its devices 0/0, opaque directories get its attribute (needs the program perl).
   */
  readonly whiteouts: 'apply' | 'overlay';
  /** What the layer must turn out to be. */
  readonly expect?: { readonly diffId?: Digest };
  readonly limits?: Partial<TarLimits>;
  /** Make device nodes; without it, or without root, a layer that has some is refused. Default false. */
  readonly allowDevices?: boolean;
  /** Give files to the owners the layer names. Default: where that is possible; see possibleOwners. */
  readonly chown?: boolean;
  /** Keep the setuid and setgid bits of files. Default: only with `whiteouts: 'overlay'`, where the files are a rootfs of their own. */
  readonly setuid?: boolean;
  /** Called with the number of compressed bytes read since the last call. */
  readonly progress?: (bytes: number) => void;
  readonly signal?: AbortSignal;
}

export interface UnpackerOptions {
  /** Told who writes the files. */
  readonly debug?: ((line: string) => void) | undefined;
}

/**
 * Unpacks layers, one at a time. The files are written by a process that can reach nothing but `dir`, which is started once for all of them;
 * where that cannot be, by this process. Either way every path is checked, see {@link unpackLayer}.
 *
 * The writer is trusted with one layer no more than with the next one: whoever wants to keep them apart makes the directory of a layer under a new
 * name when its turn comes, and moves it out of `dir` when it is done.
 */
export class Unpacker {
  readonly #writers: ConfinedWriters;

  /** @param dir all layers are unpacked into it or into directories in it. */
  constructor(dir: string, { debug = () => {} }: UnpackerOptions = {}) {
    this.#writers = new ConfinedWriters(dir, debug);
  }

  /** As {@link unpackLayer}. */
  async unpack(stream: AsyncIterable<Buffer>, options: UnpackOptions): Promise<LayerToc> {
    const { compression, limits, progress, signal } = options;
    const task: WriterTask = {
      root: await rootOf(options.dir),
      options: writerOptions(options),
      limits: limits ?? {},
    };
    const layer = openLayerStream(stream, compression, limits, progress);
    const toc = new TocBuilder();
    const starting = this.#writers.get(task.options);
    const tar = await readAhead(stoppable(layer.tar, signal), starting).finally(() => starting);
    const writer = await starting;
    if (writer === undefined) {
      await writeTar(tar, task.root, task.options, task.limits, toc);
    } else {
      try {
        await writeRemotely(tar, writer, task, toc);
      } catch (error) {
        await this.close();
        throw error;
      }
    }
    return finished(toc, layer, options.expect?.diffId);
  }

  /** Ends the writer, if there is one. */
  async close(): Promise<void> {
    await this.#writers.close();
  }
}

/**
 * Unpacks a layer that a stranger may have made into `dir`, and gives its table of contents.
 *
 * Nothing outside `dir` is ever touched: parent directories are resolved inside it, link by link; the last component of a path is never
 * followed but replaced; targets of hard links are resolved in the same way; whiteouts never go through links and never hit what the same
 * layer made. Modes are set after owners, directories last. Extended attributes are set when there are any, which needs the program perl
 * (`security.*` and `trusted.*` by root only); those of overlayfs and SELinux never are.
 *
 * On failure `dir` keeps what has been unpacked so far: unpack into a temporary directory.
 *
 * @throws SlipwayError E_UNSAFE_ARCHIVE, E_BAD_ARCHIVE, E_UNSUPPORTED (sparse), E_DIGEST_MISMATCH when the diffID is not the expected one,
 * E_NO_SPACE, E_PERMISSION, E_NOT_FOUND when `dir` is missing, E_MISSING_PROGRAM.
 */
export async function unpackLayer(
  stream: AsyncIterable<Buffer>,
  options: UnpackOptions & UnpackerOptions,
): Promise<LayerToc> {
  const unpacker = new Unpacker(options.dir, options);
  try {
    return await unpacker.unpack(stream, options);
  } finally {
    await unpacker.close();
  }
}

function writerOptions({ whiteouts, limits, chown, setuid, allowDevices }: UnpackOptions): TreeWriterOptions {
  const systemRoot = isSystemRoot();
  const giveAway = chown ?? possibleOwners() !== 'single';
  return {
    whiteouts,
    opaqueXattr: opaqueXattr(),
    ...(giveAway ? { owners: ownerRanges() } : {}),
    setuid: setuid ?? whiteouts === 'overlay',
    allowDevices: systemRoot && allowDevices === true,
    allXattrs: systemRoot,
    capabilities: process.getuid?.() === 0,
    ...(limits?.specialFiles === undefined ? {} : { specialFiles: limits.specialFiles }),
  };
}

/** Hashes and lists what is in the tar while the writer writes the files. */
async function writeRemotely(
  tar: AsyncIterable<Buffer>,
  writer: RemoteWriter,
  task: WriterTask,
  toc: TocBuilder,
): Promise<void> {
  writer.begin(task);
  await readTar(
    sentTo(writer, tar),
    {
      member: (member) => toc.begin(layerEntryOf(member)),
      content: (piece) => toc.content(piece),
      end: () => toc.end(),
    },
    task.limits,
  );
  await setRequestedXattrs(task.root, await writer.finish(), task.options.opaqueXattr);
}

async function* sentTo(writer: RemoteWriter, tar: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  for await (const chunk of tar) {
    await writer.write(chunk);
    for (let at = 0; at < chunk.length; at += SLICE) {
      yield chunk.subarray(at, at + SLICE);
      if (writer.busy) await turn();
    }
  }
}

function finished(toc: TocBuilder, layer: LayerStream, expected: Digest | undefined): LayerToc {
  const diffId = layer.diffId();
  if (expected !== undefined && diffId !== expected) {
    throw new SlipwayError('E_DIGEST_MISMATCH', `the layer unpacks to ${diffId} and not to the promised ${expected}`, {
      hint: 'the image is damaged or was tampered with: pull it again from a source you trust',
    });
  }
  return toc.finish(diffId, layer.unpackedSize());
}

/** Decompresses and hashes the first megabytes while something else is going on. */
async function readAhead(stream: AsyncGenerator<Buffer>, meanwhile: Promise<unknown>): Promise<AsyncIterable<Buffer>> {
  const ahead: Buffer[] = [];
  let bytes = 0;
  let over = false;
  const stop = (): void => {
    over = true;
  };
  meanwhile.then(stop, stop);
  while (!over && bytes < AHEAD) {
    const { value, done } = await stream.next();
    if (done === true) break;
    ahead.push(value);
    bytes += value.length;
  }
  return (async function* () {
    yield* ahead.splice(0);
    yield* stream;
  })();
}

async function* stoppable(stream: AsyncIterable<Buffer>, signal: AbortSignal | undefined): AsyncGenerator<Buffer> {
  for await (const chunk of stream) {
    signal?.throwIfAborted();
    yield chunk;
  }
}

async function rootOf(dir: string): Promise<string> {
  const found = await stat(fsPath(dir)).catch(() => undefined);
  if (found?.isDirectory() === true) return pathFromBytes(await realpath(fsPath(dir), { encoding: 'buffer' }));
  throw new SlipwayError('E_NOT_FOUND', `cannot unpack into ${dir}: it is no directory`, { hint: 'make it first' });
}

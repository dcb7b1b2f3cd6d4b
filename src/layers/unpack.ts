import { realpath, stat } from 'node:fs/promises';
import { SlipwayError } from '../base/errors.js';
import { possibleOwners } from '../base/id-map.js';
import type { Digest } from '../image/digest.js';
import type { Compression } from '../image/media-types.js';
import { openLayerStream } from './layer-stream.js';
import { fsPath, pathFromBytes } from './path-bytes.js';
import { canWriteRemotely, RemoteWriter, type WriterTask } from './remote-writer.js';
import { isSystemRoot } from './system-root.js';
import type { TarLimits } from './tar-limits.js';
import { readTar } from './tar-reader.js';
import type { LayerToc } from './toc.js';
import { layerEntryOf, TocBuilder } from './toc-builder.js';
import { type TreeWriterOptions, writeTar } from './tree-writer.js';

/** Tars up to this many bytes are unpacked before a thread has even started. */
const SMALL_LAYER = 4 * 1024 * 1024;

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
export async function unpackLayer(stream: AsyncIterable<Buffer>, options: UnpackOptions): Promise<LayerToc> {
  const { compression, dir, whiteouts, expect, limits, progress, signal } = options;
  const isRoot = isSystemRoot();
  const root = await rootOf(dir);
  const how: TreeWriterOptions = {
    whiteouts,
    chown: options.chown ?? possibleOwners() !== 'single',
    setuid: options.setuid ?? whiteouts === 'overlay',
    allowDevices: isRoot && options.allowDevices === true,
    allXattrs: isRoot,
    capabilities: process.getuid?.() === 0,
    ...(limits?.specialFiles === undefined ? {} : { specialFiles: limits.specialFiles }),
  };
  const layer = openLayerStream(stream, compression, limits, progress);
  const toc = new TocBuilder();
  const tar = stoppable(layer.tar, signal);
  const first = canWriteRemotely() ? await peek(tar, SMALL_LAYER) : { stream: tar, whole: true };
  if (first.whole) await writeTar(first.stream, root, how, limits, toc);
  else await writeInThread(first.stream, { root, options: how, limits: limits ?? {} }, toc);
  const diffId = layer.diffId();
  if (expect?.diffId !== undefined && diffId !== expect.diffId) {
    throw new SlipwayError(
      'E_DIGEST_MISMATCH',
      `the layer unpacks to ${diffId} and not to the promised ${expect.diffId}`,
      {
        hint: 'the image is damaged or was tampered with: pull it again from a source you trust',
      },
    );
  }
  return toc.finish(diffId, layer.unpackedSize());
}

/** Hashes and lists what is in the tar while a thread of its own writes the files. */
async function writeInThread(tar: AsyncIterable<Buffer>, task: WriterTask, toc: TocBuilder): Promise<void> {
  const writer = new RemoteWriter(task);
  try {
    await readTar(
      (async function* () {
        for await (const chunk of tar) {
          await writer.write(chunk);
          yield chunk;
        }
      })(),
      {
        member: (member) => toc.begin(layerEntryOf(member)),
        content: (piece) => toc.content(piece),
        end: () => toc.end(),
      },
      task.limits,
    );
    await writer.finish();
  } finally {
    await writer.close();
  }
}

/** The same stream, and whether it is no longer than about `size` bytes. Reads as much ahead. */
async function peek(
  stream: AsyncGenerator<Buffer>,
  size: number,
): Promise<{ stream: AsyncIterable<Buffer>; whole: boolean }> {
  const ahead: Buffer[] = [];
  let bytes = 0;
  let whole = false;
  while (bytes <= size && !whole) {
    const { value, done } = await stream.next();
    if (done === true) whole = true;
    else {
      ahead.push(value);
      bytes += value.length;
    }
  }
  async function* all(): AsyncGenerator<Buffer> {
    yield* ahead.splice(0);
    yield* stream;
  }
  return { stream: all(), whole };
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

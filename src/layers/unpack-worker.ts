import { readSync, writeSync } from 'node:fs';
import { writeTar } from './tree-writer.js';
import { FRAME, FRAME_HEADER, failureOf, type WriterAnswer, type WriterTask } from './writer-protocol.js';
import { type FileXattrs, writeXattrs } from './xattrs.js';

// The program of the process that writes files, see RemoteWriter: reads tars from its standard input and does nothing else meanwhile, so
// that nothing has to be asynchronous.

const STDIN = 0;
const STDOUT = 1;
/** More than a socket holds. */
const INPUT = Buffer.allocUnsafeSlow(1024 * 1024);

/** Bytes of INPUT that have been read and not used. */
let unused = INPUT.subarray(0, 0);

/** At most `most` bytes, at least one; undefined at the end of the input. They are valid until the next call. */
function take(most: number): Buffer | undefined {
  if (unused.length === 0) unused = INPUT.subarray(0, readSync(STDIN, INPUT));
  if (unused.length === 0) return undefined;
  const taken = unused.subarray(0, most);
  unused = unused.subarray(taken.length);
  return taken;
}

function takeAll(length: number): Buffer | undefined {
  const pieces: Buffer[] = [];
  for (let left = length; left > 0; ) {
    const piece = take(left);
    if (piece === undefined) return undefined;
    pieces.push(Buffer.from(piece));
    left -= piece.length;
  }
  return Buffer.concat(pieces);
}

/** The head of the next frame; undefined when there will be none. */
function nextFrame(): { readonly kind: number; readonly length: number } | undefined {
  const header = takeAll(FRAME_HEADER);
  return header === undefined ? undefined : { kind: header[0] ?? 0, length: header.readUInt32BE(1) };
}

/** The tar of one task. */
async function* tar(): AsyncGenerator<Buffer> {
  for (;;) {
    const frame = nextFrame();
    // Whoever sends it has given up; there is nobody to tell.
    if (frame === undefined) process.exit(0);
    if (frame.kind !== FRAME.tar) return;
    for (let left = frame.length; left > 0; ) {
      const piece = take(left);
      if (piece === undefined) process.exit(0);
      left -= piece.length;
      yield piece;
    }
  }
}

function answer(message: WriterAnswer): void {
  const line = Buffer.from(`${JSON.stringify(message)}\n`);
  for (let at = 0; at < line.length; ) at += writeSync(STDOUT, line, at);
}

/** Of all attributes root of the system alone sets `trusted.*` and `security.*`, except that file capabilities have a right of their own. */
function needsMoreRights(name: string): boolean {
  return name.startsWith('trusted.') || (name.startsWith('security.') && name !== 'security.capability');
}

/** Sets what this process may set and asks for the rest. */
async function setXattrs(dir: string, files: readonly FileXattrs[]): Promise<void> {
  const own: FileXattrs[] = [];
  for (const { path, xattrs } of files) {
    const names = Object.entries(xattrs);
    const mine = names.filter(([name]) => !needsMoreRights(name));
    const others = names.filter(([name]) => needsMoreRights(name));
    if (mine.length > 0) own.push({ path, xattrs: Object.fromEntries(mine) });
    if (others.length > 0) answer({ is: 'attributes', path, xattrs: Object.fromEntries(others) });
  }
  if (own.length > 0) await writeXattrs(dir, own);
}

// So that files can be made with their final mode.
process.umask(0);
answer({ is: 'ready' });
try {
  for (let frame = nextFrame(); frame !== undefined; frame = nextFrame()) {
    const { root, options, limits } = JSON.parse(String(takeAll(frame.length))) as WriterTask;
    await writeTar(tar(), root, options, limits, undefined, setXattrs);
    answer({ is: 'written' });
  }
} catch (error) {
  answer({ is: 'failed', ...failureOf(error) });
  process.exitCode = 1;
}

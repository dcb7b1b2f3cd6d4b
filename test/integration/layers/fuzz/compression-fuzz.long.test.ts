import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { constants, gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { isSlipwayError } from '../../../../src/base/errors.js';
import { decompress } from '../../../../src/layers/decompress.js';
import { GzipBlocks } from '../../../../src/layers/gzip-blocks.js';
import { unzstdInJavaScript } from '../../../../src/layers/zstd.js';
import { type Random, randomOf } from '../../../support/random.js';
import { tempDirectory } from '../../../support/temp.js';
import { inPieces } from '../../../unit/layers/raw-tar.js';

/** How many streams of each kind. */
const RUNS = Number(process.env.SLIPWAY_FUZZ_STREAMS ?? 500);
/** Stream number N is made from this number + N. */
// The same streams in every run, so that a red one is the fault of the change; other seeds by hand.
const SEED = Number(process.env.SLIPWAY_FUZZ_SEED ?? 5000);

const home = tempDirectory();
const text = Buffer.from('some text, '.repeat(3000));
const noise = randomOf(7).bytes(5000);

type Kind = 'gzip' | 'zstd';

const DAMAGES: Readonly<Record<string, (stream: Buffer, random: Random, honest: readonly Buffer[]) => Buffer>> = {
  nothing: (stream) => stream,
  'a bit': (stream, random) => changed(stream, random.below(stream.length), 1 << random.below(8)),
  'a byte': (stream, random) => changed(stream, random.below(stream.length), 1 + random.below(255)),
  'a bit at the beginning': (stream, random) => changed(stream, random.below(12), 1 << random.below(8)),
  'a bit at the end': (stream, random) => changed(stream, stream.length - 1 - random.below(8), 1 << random.below(8)),
  'cut off': (stream, random) => stream.subarray(0, random.below(stream.length)),
  // Not beginning with a zero: zlib takes that for padding, with all that follows.
  'garbage behind': (stream, random) =>
    Buffer.concat([stream, Buffer.of(1 + random.below(255)), random.bytes(random.below(20))]),
  'zeros behind': (stream, random) => Buffer.concat([stream, Buffer.alloc(1 + random.below(600))]),
  'another stream behind': (stream, random, honest) => Buffer.concat([stream, random.pick(honest)]),
  'half a beginning behind': (stream, random) =>
    Buffer.concat([stream, stream.subarray(0, 2 + random.below(8)), random.bytes(3)]),
  'a piece missing': (stream, random) => {
    const at = random.below(stream.length);
    return Buffer.concat([stream.subarray(0, at), stream.subarray(at + 1 + random.below(9))]);
  },
};

function changed(stream: Buffer, at: number, bits: number): Buffer {
  const copy = Buffer.from(stream);
  const position = Math.max(0, Math.min(at, copy.length - 1));
  copy[position] = (copy[position] ?? 0) ^ bits;
  return copy;
}

/** @param checksums without streams that have no checksum: damaged ones can be taken for whole. */
async function honestStreams(kind: Kind, checksums: boolean): Promise<readonly Buffer[]> {
  if (kind === 'zstd') {
    const zstd = (input: Buffer, ...flags: string[]): Buffer => execFileSync('zstd', ['-q', '-c', ...flags], { input });
    const skippable = Buffer.from('502a4d1804000000abcd0000', 'hex');
    const two = [zstd(text), zstd(noise)];
    return [
      ...[text, noise, Buffer.alloc(0)].map((input) => zstd(input)),
      ...[zstd(text, '-19'), Buffer.concat(two), Buffer.concat([skippable, zstd(text)])],
      ...(checksums ? [] : [zstd(text, '--no-check')]),
    ];
  }
  const ours: Buffer[] = [];
  const blocks = new GzipBlocks(6, async (bytes) => void ours.push(Buffer.from(bytes)));
  for (let at = 0; at < text.length; at += 9000) await blocks.write(text.subarray(at, at + 9000));
  await blocks.end();
  writeFileSync(join(home, 'named'), text);
  return [
    ...[text, noise, Buffer.alloc(0)].map((input) => gzipSync(input)),
    gzipSync(text, { level: 0 }),
    gzipSync(text, { strategy: constants.Z_FIXED }),
    Buffer.concat([gzipSync(text), gzipSync(noise)]),
    execFileSync('gzip', ['-c', join(home, 'named')]),
    Buffer.concat(ours),
  ];
}

interface Stream {
  readonly bytes: Buffer;
  readonly how: string;
}

async function streamsOf(kind: Kind, { checksums = false } = {}): Promise<readonly Stream[]> {
  const honest = await honestStreams(kind, checksums);
  return Array.from({ length: RUNS }, (_, index) => {
    const random = randomOf(SEED + index);
    const damage = random.pick(Object.keys(DAMAGES));
    const bytes = DAMAGES[damage]?.(random.pick(honest), random, honest) ?? Buffer.alloc(0);
    return { bytes, how: `SLIPWAY_FUZZ_SEED=${SEED + index} (${damage})` };
  });
}

/** What the program says: 0 for a whole stream, 1 for an error, 2 for a warning; and what it gives. */
function verdicts(program: Kind, streams: readonly Stream[]): readonly { code: number; output: Buffer }[] {
  const dir = join(home, program);
  mkdirSync(dir, { recursive: true });
  for (const [index, { bytes }] of streams.entries()) writeFileSync(join(dir, String(index)), bytes);
  const loop = `for n in $(seq 0 ${streams.length - 1}); do ${program} -dcq <$n >$n.out 2>/dev/null; echo $? >$n.code; done`;
  execFileSync('sh', ['-c', loop], { cwd: dir });
  return streams.map((_, index) => ({
    code: Number(readFileSync(join(dir, `${index}.code`), 'utf8')),
    output: readFileSync(join(dir, `${index}.out`)),
  }));
}

/** The whole output; undefined when it is refused with an error of an archive. */
async function whole(stream: AsyncIterable<Buffer>): Promise<Buffer | undefined> {
  const pieces: Buffer[] = [];
  try {
    for await (const piece of stream) pieces.push(piece);
    return Buffer.concat(pieces);
  } catch (error) {
    if (isSlipwayError(error, 'E_BAD_ARCHIVE')) return undefined;
    throw error;
  }
}

describe(`${RUNS} damaged streams (seed ${SEED})`, () => {
  it.each(['gzip', 'zstd'] as const)(
    '%s: what the program takes for whole we take too, with the same bytes, and nothing else',
    async (kind) => {
      const streams = await streamsOf(kind);
      const theirs = verdicts(kind, streams);
      let accepted = 0;
      for (const [index, { bytes, how }] of streams.entries()) {
        const { code, output } = theirs[index] ?? { code: -1, output: Buffer.alloc(0) };
        const ours = await whole(decompress(inPieces(bytes, 1 + ((SEED + index) % 3000)), kind));
        // gzip warns of garbage behind the end, and takes the rest; Go refuses it, and so do we.
        expect(ours === undefined, `${how}: ${kind} ended with ${code}`).toBe(code !== 0);
        if (ours !== undefined) expect(ours.equals(output), how).toBe(true);
        accepted += Number(ours !== undefined);
      }
      process.stdout.write(`${kind} fuzz: ${RUNS} streams (seed ${SEED}), ${accepted} whole\n`);
      expect(accepted).toBeGreaterThan(0);
    },
    300_000,
  );

  it('zstd in JavaScript: the same bytes as the program, or an error; it looks at no checksums', async () => {
    const streams = await streamsOf('zstd', { checksums: true });
    const theirs = verdicts('zstd', streams);
    for (const [index, { bytes, how }] of streams.entries()) {
      const ours = await whole(unzstdInJavaScript(inPieces(bytes, 1 + ((SEED + index) % 3000))));
      const { code, output } = theirs[index] ?? { code: -1, output: Buffer.alloc(0) };
      if (code === 0 && ours !== undefined) expect(ours.equals(output), how).toBe(true);
      if (how.includes('(nothing)')) expect(ours, how).toBeDefined();
    }
  }, 300_000);
});

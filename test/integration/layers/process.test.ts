import { execFileSync } from 'node:child_process';
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { compileLayers, runCompiled } from './compiled.js';
import { withDirectory } from './trees.js';

interface Result {
  readonly digest: string;
  readonly diffId: string;
  readonly same: boolean;
  /** Peak resident memory in KiB. */
  readonly peak: number;
}

/** Packs `file`, reads the layer back, unpacks it, all in one process. */
const PACK = (file: string, compression: string) => `
  import { createReadStream, mkdirSync, statSync } from 'node:fs';
  import { packLayer } from './layers/pack.js';
  import { indexLayer } from './layers/index-layer.js';
  import { unpackLayer } from './layers/unpack.js';
  const file = ${JSON.stringify(file)}, compression = ${JSON.stringify(compression)};
  const entry = { path: 'big', type: 'file', mode: 0o644, uid: 0, gid: 0, size: statSync(file).size, mtime: 0, content: { file } };
  const { digest, toc } = await packLayer([entry], 'layer', { compression });
  const stream = () => createReadStream('layer', { highWaterMark: 1 << 20 });
  const indexed = await indexLayer(stream(), compression);
  mkdirSync('out', { recursive: true });
  const unpacked = await unpackLayer(stream(), { compression, dir: 'out', whiteouts: 'overlay', expect: { diffId: toc.diffId } });
  const same = [indexed, unpacked].every((other) => JSON.stringify(other) === JSON.stringify(toc));
  console.log(JSON.stringify({ digest, diffId: toc.diffId, same, peak: process.resourceUsage().maxRSS }));
`;

/** Something of everything: what cannot be compressed, what can, and nothing but zeros. */
function bigFile(dir: string, megabytes: number): string {
  const file = join(dir, 'input');
  const part = `$((${megabytes} * 1000000 / 3))`;
  const make = `{ head -c ${part} /dev/urandom; head -c ${part} /dev/zero; cat /usr/bin/perl /usr/bin/git; head -c ${part} /dev/zero; } >"$1"`;
  execFileSync('sh', ['-c', make, 'sh', file]);
  return file;
}

describe('in a process of its own', () => {
  it.each(['gzip', 'zstd', 'none'])('a big layer takes less than 200 MB of memory (%s)', async (compression) => {
    await withDirectory((dir) => {
      compileLayers(dir);
      const file = bigFile(dir, 300);
      expect(statSync(file).size).toBeGreaterThan(300_000_000);
      const { peak, same } = runCompiled<Result>(dir, PACK(file, compression));
      expect(same).toBe(true);
      expect(peak).toBeLessThan(200 * 1024);
    });
  });

  it('gzip depends neither on threads nor on what else goes on', async () => {
    await withDirectory((dir) => {
      compileLayers(dir);
      const file = bigFile(dir, 20);
      const digests = ['1', '2', '8'].map(
        (threads) => runCompiled<Result>(dir, PACK(file, 'gzip'), { UV_THREADPOOL_SIZE: threads }).digest,
      );
      expect(new Set(digests).size).toBe(1);
    });
  });
});

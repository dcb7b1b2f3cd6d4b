import { readFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { FileSink } from '../../../src/store/file-sink.js';
import { tempDirectory } from '../../support/temp.js';

const home = tempDirectory();
let files = 0;

it('writes pieces of any sizes in their order', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.nat(700_000), { maxLength: 12 }), async (sizes) => {
      const path = join(home, String(files++));
      const handle = await open(path, 'a');
      const sink = new FileSink(handle);
      const pieces = sizes.map((size, n) => Buffer.alloc(size, n + 1));
      for (const piece of pieces) await sink.append(piece);
      await sink.flush();
      await handle.close();
      expect(readFileSync(path).equals(Buffer.concat(pieces))).toBe(true);
    }),
    { numRuns: 25 },
  );
});

it('tells of a failure with the next piece, or at the end', async () => {
  const handle = await open('/dev/full', 'w');
  const sink = new FileSink(handle);
  await sink.append(Buffer.alloc(100));
  await expect(sink.flush()).rejects.toMatchObject({ code: 'E_NO_SPACE' });
  const second = new FileSink(handle);
  await second.append(Buffer.alloc(2 * 1024 * 1024));
  await expect(second.append(Buffer.alloc(2 * 1024 * 1024))).rejects.toMatchObject({ code: 'E_NO_SPACE' });
  await second.settled();
  await handle.close();
});

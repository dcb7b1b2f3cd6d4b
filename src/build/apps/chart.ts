import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { SlipwayError } from '../../base/errors.js';
import { makeDirectory } from '../../base/make-directory.js';
import { sniffCompression } from '../../layers/decompress.js';
import { unpackLayer } from '../../layers/unpack.js';

/** Far more than any chart: helm itself reads at most 100 MiB. */
const LIMITS = { totalBytes: 512 * 1024 ** 2, entries: 100_000, specialFiles: 0 };

/**
 * Unpacks a packed chart (`NAME/Chart.yaml` … in a .tgz).
 * @param dir is made. @param what names the chart in errors.
 * @returns the directory that has the Chart.yaml.
 * @throws SlipwayError E_BAD_ARCHIVE when it is no chart, E_UNSAFE_ARCHIVE …
 */
export async function unpackChart(
  stream: AsyncIterable<Buffer>,
  dir: string,
  what: string,
  signal: AbortSignal,
): Promise<string> {
  await unpackFiles(stream, dir, signal);
  const names = await readdir(dir);
  const [only] = names;
  const chart = names.length === 1 && only !== undefined ? join(dir, only) : undefined;
  if (chart !== undefined && (await isFile(join(chart, 'Chart.yaml')))) return chart;
  throw new SlipwayError('E_BAD_ARCHIVE', `${what} is no packed chart: it must hold one directory with a Chart.yaml`, {
    hint: 'pack it with "helm package"',
  });
}

/** Unpacks a tar that a stranger made, compressed or not, into a new directory. Owners and setuid bits are not taken. */
export async function unpackFiles(stream: AsyncIterable<Buffer>, dir: string, signal: AbortSignal): Promise<void> {
  await makeDirectory(dir);
  const iterator = stream[Symbol.asyncIterator]();
  const first = await iterator.next();
  const head = first.done === true ? Buffer.alloc(0) : first.value;
  async function* all(): AsyncGenerator<Buffer> {
    yield head;
    for (let next = await iterator.next(); next.done !== true; next = await iterator.next()) yield next.value;
  }
  await unpackLayer(all(), {
    compression: sniffCompression(head),
    dir,
    whiteouts: 'apply',
    chown: false,
    setuid: false,
    limits: LIMITS,
    signal,
  });
}

async function isFile(path: string): Promise<boolean> {
  return stat(path).then(
    (stats) => stats.isFile(),
    () => false,
  );
}

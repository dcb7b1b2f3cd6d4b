import { isSlipwayError, messageOf, SlipwayError } from '../../base/errors.js';
import { decompress } from '../../layers/decompress.js';
import { readTar, type TarMember } from '../../layers/tar-reader.js';

/** Files of a chart by path relative to it. */
export type ChartFiles = ReadonlyMap<string, Buffer>;

/** A chart with all its files, as Helm itself bounds it (helm.sh/helm: 100 MiB unpacked, 5 MiB a file). */
export const CHART_LIMIT = 64 * 1024 * 1024;
export const CHART_FILE_LIMIT = 5 * 1024 * 1024;
const CHART_ENTRIES = 10_000;

/**
 * Reads a packed chart (`NAME-VERSION.tgz`): one directory with everything in it.
 * @returns undefined when the archive is a sound one without a Chart.yaml: it is something else.
 * @throws SlipwayError E_BAD_ARCHIVE, E_UNSAFE_ARCHIVE naming the archive.
 */
export async function readChartArchive(bytes: Buffer, where: string): Promise<ChartFiles | undefined> {
  const files = new Map<string, Buffer>();
  let pieces: Buffer[] = [];
  let current: TarMember | undefined;
  let total = 0;
  try {
    await readTar(
      bounded(decompress(one(bytes), 'gzip')),
      {
        member(member) {
          current = member.type === 'file' ? member : undefined;
          pieces = [];
          if (current === undefined) return;
          total += member.size;
          if (member.size > CHART_FILE_LIMIT || total > CHART_LIMIT) throw tooLarge();
        },
        content(piece) {
          if (current !== undefined) pieces.push(Buffer.from(piece));
        },
        end() {
          const path = current?.path.slice((current?.path.indexOf('/') ?? -1) + 1);
          if (current !== undefined && path !== undefined) files.set(path, Buffer.concat(pieces));
          current = undefined;
        },
      },
      { entries: CHART_ENTRIES, totalBytes: 2 * CHART_LIMIT },
    );
  } catch (error) {
    if (!isSlipwayError(error)) throw error;
    throw new SlipwayError(error.code, `${where}: ${messageOf(error)}`, { cause: error });
  }
  return files.has('Chart.yaml') ? files : undefined;
}

/** The files of a subchart that is a directory of a chart. */
export function filesOfDirectory(files: ChartFiles, dir: string): ChartFiles {
  const start = `${dir}/`;
  return new Map(
    [...files].flatMap(([path, bytes]) => (path.startsWith(start) ? [[path.slice(start.length), bytes]] : [])),
  );
}

/** The subcharts of a chart: the names of directories and archives in `charts/`. */
export function subchartNames(files: ChartFiles): string[] {
  const names = new Set<string>();
  for (const path of files.keys()) {
    const match = /^charts\/([^/]+)(\/Chart\.yaml)?$/.exec(path);
    if (match?.[1] !== undefined && (match[2] !== undefined || /\.(?:tgz|tar\.gz)$/.test(match[1])))
      names.add(match[1]);
  }
  return [...names].sort();
}

export function tooLarge(): SlipwayError {
  return new SlipwayError(
    'E_UNSAFE_ARCHIVE',
    `a chart of more than ${CHART_LIMIT} bytes, or a file in it of more than ${CHART_FILE_LIMIT}`,
  );
}

async function* one(bytes: Buffer): AsyncGenerator<Buffer> {
  yield bytes;
}

/** A few kilobytes of gzip may become gigabytes, also of padding behind the archive. */
async function* bounded(stream: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let total = 0;
  for await (const chunk of stream) {
    total += chunk.length;
    if (total > 2 * CHART_LIMIT) throw tooLarge();
    yield chunk;
  }
}

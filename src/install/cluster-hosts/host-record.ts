import type { Host } from '../../hosts/host.js';

/**
 * Where the scripts of base images note what they put on a host: those of hosts, and those of the registry
 * (basefs/kubernetes/rootfs/scripts/lib/record.sh). Images of others need not.
 */
const RECORDS = ['/var/lib/slipway/host/kubernetes', '/var/lib/slipway/host/registry'];
/** Larger ones are programs: they are looked into on demand only. */
const SMALL_BYTES = 1024 * 1024;

/** How what was installed on a host, outside of the rootfs, differs from what was put there. */
export interface InstalledFiles {
  readonly missing: readonly string[];
  readonly changed: readonly string[];
}

/** Absolute path → every content (sha256, hexadecimal) that was put there, by lines `file SHA256 PATH` of a record. Pure. */
export function recordedFiles(record: string): ReadonlyMap<string, ReadonlySet<string>> {
  const files = new Map<string, Set<string>>();
  for (const line of record.split('\n')) {
    const [kind, sum = '', path = ''] = line.split('\t');
    if (kind !== 'file' || !/^[0-9a-f]{64}$/.test(sum) || !path.startsWith('/')) continue;
    files.set(path, (files.get(path) ?? new Set()).add(sum));
  }
  return files;
}

/**
 * Compares what was installed with its records. Changes nothing.
 * @param deep programs are looked into as well, not only small files
 */
export async function compareInstalled(host: Host, deep: boolean, signal?: AbortSignal): Promise<InstalledFiles> {
  const records = await Promise.all(RECORDS.map((record) => host.readFile(record)));
  const recorded = recordedFiles(records.map((record) => record?.toString('utf8') ?? '').join('\n'));
  const paths = [...recorded.keys()];
  const sizes = new Map(
    (await listed(host, "stat -L -c '%s %n' --", paths, signal)).flatMap((line) => {
      const [, size, path = ''] = /^(\d+) (\/.*)$/.exec(line) ?? [];
      return size === undefined ? [] : [[path, Number(size)] as const];
    }),
  );
  const read = paths.filter((path) => deep || (sizes.get(path) ?? Number.POSITIVE_INFINITY) <= SMALL_BYTES);
  const sums = (await listed(host, 'sha256sum --', read, signal)).flatMap((line) => {
    const [, sum = '', path] = /^([0-9a-f]{64}) [ *](\/.*)$/.exec(line) ?? [];
    return path === undefined ? [] : [{ path, sum }];
  });
  return {
    missing: paths.filter((path) => !sizes.has(path)),
    changed: sums.filter(({ path, sum }) => recorded.get(path)?.has(sum) === false).map(({ path }) => path),
  };
}

/** The lines that a command prints of those of the files that are there. */
async function listed(
  host: Host,
  command: string,
  paths: readonly string[],
  signal?: AbortSignal,
): Promise<readonly string[]> {
  if (paths.length === 0) return [];
  const { stdout } = await host.run(`xargs -0 ${command} 2>/dev/null`, {
    title: 'looking at installed files',
    stdin: `${paths.join('\0')}\0`,
    timeoutMs: 120_000,
    allowFailure: true,
    ...(signal === undefined ? {} : { signal }),
  });
  return stdout.split('\n');
}

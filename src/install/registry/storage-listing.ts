import { Writable } from 'node:stream';
import type { Host } from '../../hosts/host.js';
import { shellQuote } from '../../hosts/shell-script.js';
import { STORAGE_ROOT } from '../../registry/distribution-paths.js';
import type { HostPaths } from '../state/cluster-paths.js';

/** What a tag stands for on a host, and since when (seconds since the epoch, as the host wrote them). */
export interface StoredTag {
  readonly digest: string;
  readonly since: string;
}

/** What the registry of a host has, by paths relative to {@link storageRoot}. */
export interface StorageListing {
  /** Contents and links that never change. */
  readonly files: ReadonlySet<string>;
  /** Links of tags. */
  readonly tags: ReadonlyMap<string, StoredTag>;
}

/** Names that a registry can have; others are of somebody who put them there. */
const PATH = /^(?:blobs|repositories)\/[A-Za-z0-9._/-]+$/;
const CURRENT = '*/_manifests/tags/*/current/link';

/** Where the registry of a host keeps its content. */
export function storageRoot({ rootfs }: Pick<HostPaths, 'rootfs'>): string {
  return `${rootfs}/registry/${STORAGE_ROOT}`;
}

/** Asks a host what its registry has; nothing where there is none. Changes nothing. */
export async function listStorage(host: Host, paths: HostPaths, signal?: AbortSignal): Promise<StorageListing> {
  const chunks: Buffer[] = [];
  const stdout = new Writable({
    write(chunk: Buffer, _encoding, done) {
      chunks.push(chunk);
      done();
    },
  });
  await host.run(
    `cd ${shellQuote(storageRoot(paths))} 2>/dev/null || exit 0
find blobs -type f -name data -printf 'file %p\\n' 2>/dev/null
find repositories -type f -name link ! -path ${shellQuote(CURRENT)} ! -path '*/_uploads/*' -printf 'file %p\\n' 2>/dev/null
find repositories -type f -path ${shellQuote(CURRENT)} -printf 'since %p %T@\\n' 2>/dev/null
find repositories -type f -path ${shellQuote(CURRENT)} -exec awk 'FNR == 1 { print "tag", FILENAME, $1 }' {} + 2>/dev/null
true`,
    {
      title: 'listing what the registry has',
      stdout,
      ...(signal === undefined ? {} : { signal }),
    },
  );
  return parseListing(Buffer.concat(chunks).toString('latin1').split('\n'));
}

/** Reads what the script of {@link listStorage} prints. Pure. */
export function parseListing(lines: Iterable<string>): StorageListing {
  const files = new Set<string>();
  const since = new Map<string, string>();
  const tags = new Map<string, StoredTag>();
  for (const line of lines) {
    const [kind, path = '', value] = line.split(' ');
    if (!PATH.test(path) || path.includes('..')) continue;
    if (kind === 'file' && value === undefined) files.add(path);
    else if (value === undefined) continue;
    else if (kind === 'since' && /^\d+(?:\.\d+)?$/.test(value)) since.set(path, value);
    else if (kind === 'tag' && /^sha\d+:[a-f0-9]{64,128}$/.test(value)) {
      tags.set(path, { digest: value, since: since.get(path) ?? '0' });
    }
  }
  return { files, tags };
}

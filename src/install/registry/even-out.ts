import { PassThrough } from 'node:stream';
import { SlipwayError } from '../../base/errors.js';
import type { Host } from '../../hosts/host.js';
import { onHosts } from '../../hosts/host-group.js';
import { shellQuote } from '../../hosts/shell-script.js';
import type { HostPaths } from '../state/cluster-paths.js';
import { listStorage, type StorageListing, type StoredTag, storageRoot } from './storage-listing.js';

/** What the registry of one host lacks that another one has. */
export interface StorageLack<H = Host> {
  readonly target: H;
  /** Paths, by the host that has them. */
  readonly files: ReadonlyMap<H, readonly string[]>;
  readonly tags: ReadonlyMap<string, StoredTag>;
}

const TRANSFER_TIMEOUT_MS = 6 * 60 * 60_000;
const IDLE_TIMEOUT_MS = 5 * 60_000;
const DAMAGED = 92;

/** Asks registries what they have, and finds what those that are to have all lack. Changes nothing. */
export async function findLacks(
  targets: readonly Host[],
  sources: readonly Host[],
  paths: HostPaths,
  signal?: AbortSignal,
): Promise<readonly StorageLack[]> {
  const all = [...new Set([...targets, ...sources])];
  const found = await onHosts(all, (host) => listStorage(host, paths, signal));
  return lacksOf(targets, new Map(all.map((host, index) => [host, found[index] ?? EMPTY])));
}

const EMPTY: StorageListing = { files: new Set(), tags: new Map() };

/**
 * What each target must get so that all have what any has. Contents and links never change; of a tag that stands for different images the one
 * that was given last counts. Pure.
 */
export function lacksOf<H>(targets: readonly H[], listings: ReadonlyMap<H, StorageListing>): readonly StorageLack<H>[] {
  const owners = new Map<string, H>();
  const tags = new Map<string, StoredTag>();
  for (const [host, listing] of listings) {
    for (const path of listing.files) if (!owners.has(path)) owners.set(path, host);
    for (const [path, tag] of listing.tags) {
      const known = tags.get(path);
      if (known === undefined || Number(tag.since) > Number(known.since)) tags.set(path, tag);
    }
  }
  return targets.flatMap((target) => {
    const own = listings.get(target);
    const files = new Map<H, string[]>();
    for (const [path, owner] of owners) {
      if (own?.files.has(path) === true) continue;
      const list = files.get(owner) ?? [];
      list.push(path);
      files.set(owner, list);
    }
    const lacking = new Map([...tags].filter(([path, { digest }]) => own?.tags.get(path)?.digest !== digest));
    return files.size + lacking.size === 0 ? [] : [{ target, files, tags: lacking }];
  });
}

/**
 * Gives a registry what it lacks, from the hosts that have it, through this machine: contents first, verified by their digests, then links,
 * tags last, so that whoever pulls meanwhile finds an image whole or not at all.
 * @throws SlipwayError as {@link Host.run}; E_DIGEST_MISMATCH when a content is not what its name says.
 */
export async function supply(
  { target, files, tags }: StorageLack,
  paths: HostPaths,
  signal?: AbortSignal,
): Promise<void> {
  const common = signal === undefined ? {} : { signal };
  for (const [source, list] of files) {
    const stream = new PassThrough({ highWaterMark: 1024 * 1024 });
    const sent = source.run(`cd ${shellQuote(storageRoot(paths))} && tar -c --null -T - -f -`, {
      title: 'sending what the registry has',
      stdin: `${list.join('\0')}\0`,
      stdout: stream,
      timeoutMs: TRANSFER_TIMEOUT_MS,
      ...common,
    });
    // A source that fails must not look like one that has ended.
    sent.catch((error: unknown) => stream.destroy(error instanceof Error ? error : new Error(String(error))));
    const received = target.run(receiveScript(paths), {
      title: 'receiving what another registry has',
      stdin: stream,
      timeoutMs: TRANSFER_TIMEOUT_MS,
      idleTimeoutMs: IDLE_TIMEOUT_MS,
      allowFailure: true,
      ...common,
    });
    const [, { code, stderr }] = await Promise.all([sent, received]);
    if (code !== 0) throw receiveError(target, source, code, stderr);
  }
  if (tags.size === 0) return;
  await target.run(tagsScript(paths), {
    title: 'naming images in the registry',
    stdin: [...tags].map(([path, { digest, since }]) => `${path} ${digest} ${since}\n`).join(''),
    ...common,
  });
}

function receiveScript(paths: HostPaths): string {
  return `set -e
umask 022
in=${shellQuote(`${paths.base}/.registry-incoming`)}
rm -rf "$in"
mkdir -m 700 "$in"
trap 'rm -rf "$in"' EXIT
tar -x --no-same-owner -f - -C "$in"
cd "$in"
for algorithm in sha256 sha512; do
  [ -d "blobs/$algorithm" ] || continue
  find "blobs/$algorithm" -type f -name data | awk -F/ '{ print $4 "  " $0 }' | "\${algorithm}sum" -c --quiet - >&2 || exit ${DAMAGED}
done
root=${shellQuote(storageRoot(paths))}
mkdir -p "$root"
for part in blobs repositories; do [ ! -d "$part" ] || cp -al --remove-destination "$part" "$root/"; done
sync -f "$root" 2>/dev/null || sync`;
}

function tagsScript(paths: HostPaths): string {
  return `set -e
umask 022
cd ${shellQuote(storageRoot(paths))}
while read -r path digest since; do
  mkdir -p "\${path%/*}"
  printf %s "$digest" >"$path.new"
  touch -d "@$since" "$path.new"
  mv -f "$path.new" "$path"
done`;
}

function receiveError(target: Host, source: Host, code: number, stderr: string): SlipwayError {
  const lines = stderr.trim().split('\n').slice(-5).join('\n');
  if (code === DAMAGED) {
    return new SlipwayError(
      'E_DIGEST_MISMATCH',
      `the registry on ${source.address} has content that is not what its name says:\n${lines}`,
      { hint: `look for a failing disk on ${source.address}; what is damaged there can be pushed again` },
    );
  }
  const full = /no space left|quota exceeded/i.test(stderr);
  return new SlipwayError(
    full ? 'E_NO_SPACE' : 'E_HOST_COMMAND',
    `host ${target.address}: receiving what the registry on ${source.address} has failed with exit code ${code}:\n${lines}`,
    { hint: full ? 'free some space on the host, then run the same command again' : 'mend it, then run it again' },
  );
}

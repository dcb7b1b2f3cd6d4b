import { Transform, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { SlipwayError } from '../../base/errors.js';
import type { Host } from '../../hosts/host.js';
import { shellQuote } from '../../hosts/shell-script.js';
import { parentOf } from '../../layers/layer-names.js';
import { pathToBytes } from '../../layers/path-bytes.js';
import { tarStream } from '../../layers/tar-stream-out.js';
import type { PackEntry } from '../../layers/toc.js';
import type { SentPaths } from '../state/cluster-paths.js';
import { applyScript, checksumList } from './apply-script.js';
import { type HostListing, LISTING_FORMAT, parseListing } from './host-listing.js';
import { decodeHostToc, encodeHostToc, type HostToc } from './host-toc.js';
import type { WantedEntry, WantedFile } from './rootfs.js';
import { filesToVerify, isListed, isSame, planMoves, type TocDifference, tocDifference } from './toc-difference.js';

/** A host whose lists are longer than this has something in its rootfs that does not belong there. */
const MOST_LISTING_BYTES = 512 * 1024 * 1024;
const TRANSFER_TIMEOUT_MS = 6 * 60 * 60_000;
const IDLE_TIMEOUT_MS = 5 * 60_000;

/** What is known about a host's rootfs and what it lacks. */
export interface HostDifference {
  readonly difference: TocDifference;
  readonly listing: HostListing;
  /** Whether the host's own list says what is wanted; if not it is written again, even when nothing else is to do. */
  readonly listed: boolean;
}

/** Whether there is nothing to do. */
export function isDistributed({ difference, listed }: HostDifference): boolean {
  return listed && isSame(difference);
}

export interface DistributeOptions {
  readonly signal?: AbortSignal | undefined;
  /** Called with the bytes that have gone over the wire since the last call. */
  readonly onBytes?: (bytes: number) => void;
  /** Contents of these are in `incoming/files` already, perhaps: verified like everything else. */
  readonly arrived?: readonly WantedFile[];
}

/**
 * Compares a host's rootfs with what is wanted: two round trips, a third one when there are files of which only the content can tell.
 * Changes nothing.
 */
export async function compareHost(
  host: Host,
  paths: SentPaths,
  wanted: readonly WantedEntry[],
  signal?: AbortSignal,
): Promise<HostDifference> {
  const toc = await readToc(host, paths);
  const listing = await listRootfs(host, paths, signal);
  const doubtful = filesToVerify(wanted, { toc, listing });
  const verified = await verifyFiles(host, paths, doubtful, signal);
  return {
    difference: tocDifference(wanted, { toc, listing }, verified),
    listing,
    listed: isListed(wanted, toc),
  };
}

/**
 * Gives a host what it lacks: one tar stream over the connection that is open, unpacked beside the rootfs on the same file system, every
 * file verified by sha256, then renamed into place. Memory is bounded whatever travels. What is no longer wanted goes.
 * @throws SlipwayError as {@link Host.run}; E_DIGEST_MISMATCH when a file did not arrive as it is in the image.
 */
export async function distribute(
  host: Host,
  paths: SentPaths,
  wanted: readonly WantedEntry[],
  { difference, listing }: HostDifference,
  { signal, onBytes, arrived = [] }: DistributeOptions = {},
): Promise<void> {
  const { send } = difference;
  const there = new Set(arrived.map(({ path }) => path));
  const entries: PackEntry[] = [
    bytesEntry('toc.gz', encodeHostToc(wanted)),
    bytesEntry('sums', checksumList(send)),
    bytesEntry('apply.sh', applyScript(difference, planMoves(difference, listing), paths, arrived)),
    ...directoryEntry('files', 0o755),
    ...packed(send, wanted, there),
  ];
  const source = tarStream(entries, signal === undefined ? {} : { signal });
  const counted = countBytes(onBytes ?? (() => {}));
  const piped = pipeline(source, counted);
  // Whoever reads the stream sees its failure; this one only keeps it from being unhandled.
  piped.catch(() => {});
  const bytes = send.reduce(
    (sum, entry) => sum + (entry.type === 'file' && !there.has(entry.path) ? entry.size : 0),
    0,
  );
  const { code, stderr } = await host.run(receiveScript(paths, bytes, arrived.length > 0), {
    title: 'receiving the rootfs',
    stdin: counted,
    timeoutMs: TRANSFER_TIMEOUT_MS,
    idleTimeoutMs: IDLE_TIMEOUT_MS,
    allowFailure: true,
    ...(signal === undefined ? {} : { signal }),
  });
  if (code !== 0) throw receiveError(host, paths, code, stderr);
}

const DAMAGED = 92;
const FULL = 93;

/** @param bytes of all files that come @param keep what has arrived already stays */
function receiveScript({ base, incoming, rootfs, toc }: SentPaths, bytes: number, keep: boolean): string {
  const next = `${toc}.next`;
  // The list of what will have been given is there before anything moves: whatever becomes of us, nothing is forgotten.
  return `set -e
umask 022
in=${shellQuote(incoming)}
mkdir -p ${shellQuote(base)}
${keep ? '' : 'rm -rf "$in"'}
free=$(df -Pk ${shellQuote(base)} | awk 'NR == 2 { print $4 }')
if [ "\${free:-0}" -lt ${Math.ceil(bytes / 1024)} ]; then
  echo "$free kB are free, ${Math.ceil(bytes / 1024)} kB are to come" >&2
  exit ${FULL}
fi
${keep ? '' : 'mkdir -m 700 "$in"'}
tar -x -p --numeric-owner -f - -C "$in"
cd "$in/files"
if ! sha256sum -c ../sums >../result 2>&1 && [ -s ../sums ]; then
  grep -v ': OK$' ../result | head -n 5 >&2
  exit ${DAMAGED}
fi
cd "$in"
sync -f . 2>/dev/null || sync
mv -f toc.gz ${shellQuote(next)}
sh ./apply.sh
[ -d ${shellQuote(rootfs)} ] || mkdir ${shellQuote(rootfs)}
sync -f . 2>/dev/null || sync
mv -f ${shellQuote(next)} ${shellQuote(toc)}
cd /
rm -rf "$in"`;
}

function receiveError(host: Host, paths: SentPaths, code: number, stderr: string): SlipwayError {
  const lines = stderr.trim().split('\n').slice(-5).join('\n');
  if (code === DAMAGED) {
    return new SlipwayError(
      'E_DIGEST_MISMATCH',
      `host ${host.address}: files did not arrive as they were sent:\n${lines}`,
      {
        hint: 'look for a failing disk or memory on the host, then run the same command again',
      },
    );
  }
  const full = code === FULL || /no space left|quota exceeded/i.test(stderr);
  return new SlipwayError(
    full ? 'E_NO_SPACE' : 'E_HOST_COMMAND',
    `host ${host.address}: receiving the rootfs in ${paths.base} failed with exit code ${code}:\n${lines}`,
    {
      hint: full
        ? 'free some space on the host, then run the same command again: what has arrived is not sent twice'
        : 'mend it, then run the same command again',
      details: { host: host.address, exitCode: code },
    },
  );
}

/** What travels, under `files/`: also the directories above all that is new, with their attributes, as a tar needs them. */
function* packed(
  send: readonly WantedEntry[],
  wanted: readonly WantedEntry[],
  there: ReadonlySet<string>,
): Generator<PackEntry> {
  const dirs = new Map(wanted.flatMap((entry) => (entry.type === 'dir' ? [[entry.path, entry] as const] : [])));
  const given = new Set<string>(['']);
  function* above(path: string): Generator<PackEntry> {
    if (given.has(path)) return;
    given.add(path);
    yield* above(parentOf(path));
    yield packEntry(dirs.get(path) ?? { path, type: 'dir', mode: 0o755, uid: 0, gid: 0, mtime: 0 });
  }
  for (const entry of send) {
    yield* above(parentOf(entry.path));
    if (entry.type === 'dir') yield* above(entry.path);
    else if (!there.has(entry.path)) yield packEntry(entry);
  }
}

function packEntry(entry: WantedEntry): PackEntry {
  const { path, type, mode, uid, gid, mtime } = entry;
  const common = { path: `files/${path}`, type, mode, uid, gid, mtime };
  if (entry.type === 'file') return { ...common, size: entry.size, content: entry.content };
  return { ...common, size: 0, ...(entry.type === 'symlink' ? { linkTarget: entry.linkTarget } : {}) };
}

function bytesEntry(path: string, bytes: Uint8Array): PackEntry {
  return { path, type: 'file', mode: 0o600, uid: 0, gid: 0, mtime: 0, size: bytes.length, content: { bytes } };
}

function directoryEntry(path: string, mode: number): PackEntry[] {
  return [{ path, type: 'dir', mode, uid: 0, gid: 0, mtime: 0, size: 0 }];
}

function countBytes(onBytes: (bytes: number) => void): Transform {
  return new Transform({
    highWaterMark: 1024 * 1024,
    transform(chunk: Buffer, _encoding, done) {
      onBytes(chunk.length);
      done(null, chunk);
    },
  });
}

/** What a host says it was given. A transfer that was cut off left a second list: of what the two disagree on nothing is believed. */
export async function readToc(host: Host, { toc }: Pick<SentPaths, 'toc'>): Promise<HostToc> {
  const [last, next] = await Promise.all([host.readFile(toc), host.readFile(`${toc}.next`)]);
  const known = (last === undefined ? undefined : decodeHostToc(last)) ?? new Map<string, string | undefined>();
  const pending = next === undefined ? undefined : decodeHostToc(next);
  if (pending === undefined) return known;
  const paths = new Set([...known.keys(), ...pending.keys()]);
  return new Map(
    [...paths].map((path) => {
      const digest = known.get(path);
      return [path, pending.has(path) && pending.get(path) !== digest ? undefined : digest];
    }),
  );
}

/** What is in a host's rootfs. */
export async function listRootfs(host: Host, { rootfs }: SentPaths, signal?: AbortSignal): Promise<HostListing> {
  const output = collect(MOST_LISTING_BYTES);
  await host.run(`[ -d ${shellQuote(rootfs)} ] || exit 0\nfind ${shellQuote(rootfs)} -printf '${LISTING_FORMAT}'`, {
    title: 'listing the rootfs',
    stdout: output.stream,
    ...(signal === undefined ? {} : { signal }),
  });
  return parseListing(output.bytes());
}

/** Those of `files` whose content on the host is what is wanted. */
export async function verifyFiles(
  host: Host,
  { rootfs }: SentPaths,
  files: readonly Pick<WantedFile, 'path' | 'digest'>[],
  signal?: AbortSignal,
): Promise<ReadonlySet<string>> {
  if (files.length === 0) return new Set();
  const output = collect(MOST_LISTING_BYTES);
  const names = Buffer.concat(files.map(({ path }) => Buffer.concat([pathToBytes(`./${path}`), Buffer.of(0)])));
  await host.run(`cd ${shellQuote(rootfs)} && xargs -0 sha256sum --`, {
    title: 'verifying files of the rootfs',
    stdin: names,
    stdout: output.stream,
    timeoutMs: TRANSFER_TIMEOUT_MS,
    allowFailure: true,
    ...(signal === undefined ? {} : { signal }),
  });
  const sums = output.bytes().toString('latin1').trimEnd().split('\n');
  // A line for each file, in their order; one that is missing would shift the others, so then none is believed.
  if (sums.length !== files.length) return new Set();
  return new Set(
    files.flatMap(({ path, digest }, index) =>
      sums[index]?.replace(/^\\/, '').slice(0, 64) === digest.slice('sha256:'.length) ? [path] : [],
    ),
  );
}

/** Takes the output of a command as bytes. */
function collect(limit: number): { readonly stream: Writable; bytes(): Buffer } {
  const chunks: Buffer[] = [];
  let size = 0;
  const stream = new Writable({
    write(chunk: Buffer, _encoding, done) {
      size += chunk.length;
      if (size > limit) done(new Error(`more than ${limit} bytes`));
      else {
        chunks.push(chunk);
        done();
      }
    },
  });
  return { stream, bytes: () => Buffer.concat(chunks) };
}

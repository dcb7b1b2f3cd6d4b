import { Readable } from 'node:stream';
import { SlipwayError } from '../../base/errors.js';
import type { Host } from '../../hosts/host.js';
import { shellQuote } from '../../hosts/shell-script.js';
import { algorithmOf, type Digest, hexOf } from '../../image/digest.js';
import { isDocumentType } from '../../image/media-types.js';
import type { Descriptor } from '../../image/oci.js';
import type { ContentTarget } from '../../registry/content.js';
import { blobFile, layerLink, revisionLink, tagIndexLink, tagLink } from '../../registry/distribution-paths.js';
import type { ImageSource, ImageTarget } from '../../registry/places/image-place.js';
import type { HostPaths } from '../state/cluster-paths.js';
import { storageRoot } from './storage-listing.js';

/** Where an image goes in the registry of a cluster. */
export interface StoragePlace {
  /** As a mirror is asked for it: `library/web`. */
  readonly repository: string;
  /** Undefined when it is only to be found by its digest. */
  readonly tag: string | undefined;
}

const TRANSFER_TIMEOUT_MS = 6 * 60 * 60_000;
const IDLE_TIMEOUT_MS = 5 * 60_000;
const PRESENT = 90;
const DAMAGED = 92;
/** Commands at once on one connection; it has eight. */
const PARALLEL = 4;

/**
 * The storage of a cluster's registry on one of its hosts, as a place that an image can be copied to: over the connection to the host, so that
 * neither the registry need be reachable from here nor its password be known. The registry serves what is in its storage; everything is
 * verified by the host before it gets its place, links come after contents, and the tag last.
 * @param placeOf where an image from that source goes; it may refuse it.
 */
export function storageImageTarget(
  host: Host,
  paths: HostPaths,
  label: string,
  placeOf: (source: ImageSource, root: Descriptor) => StoragePlace,
): ImageTarget {
  return {
    label: `${label} on ${host.address}`,
    receive: async (root, source) => storageTarget(host, paths, label, placeOf(source, root).repository),
    async finish(root, source) {
      const { repository, tag } = placeOf(source, root);
      if (tag === undefined) return;
      await writeLinks(host, paths, [
        [tagIndexLink(repository, tag, root.digest), root.digest],
        [tagLink(repository, tag), root.digest],
      ]);
    },
  };
}

function storageTarget(host: Host, paths: HostPaths, registry: string, repository: string): ContentTarget {
  const linkOf = ({ digest, mediaType }: Descriptor): string =>
    isDocumentType(mediaType) ? revisionLink(repository, digest) : layerLink(repository, digest);
  return {
    label: `${registry}/${repository} on ${host.address}`,
    parallel: PARALLEL,
    async has(descriptor, signal) {
      const { code } = await host.run(
        `cd ${shellQuote(storageRoot(paths))} 2>/dev/null && [ -e ${shellQuote(linkOf(descriptor))} ] &&
  [ "$(stat -c %s ${shellQuote(blobFile(descriptor.digest))} 2>/dev/null)" = ${descriptor.size} ]`,
        { title: 'looking what the registry has', allowFailure: true, timeoutMs: 60_000, ...given(signal) },
      );
      return code === 0;
    },
    async pushBlob(descriptor, open, onProgress, signal) {
      const { digest, size } = descriptor;
      // Another repository may have it: then it needs a link only.
      const there = await receive(host, paths, digest, size, undefined, signal);
      if (!there) {
        const pieces = counted(open(0, size), onProgress);
        await receive(host, paths, digest, size, Readable.from(pieces, { objectMode: false }), signal);
      }
      await writeLinks(host, paths, [[linkOf(descriptor), digest]], signal);
      return there ? 'mounted' : 'copied';
    },
    async pushDocument({ descriptor, bytes }, signal) {
      const { digest, size } = descriptor;
      if (!(await receive(host, paths, digest, size, undefined, signal))) {
        await receive(host, paths, digest, size, bytes, signal);
      }
      await writeLinks(host, paths, [[linkOf(descriptor), digest]], signal);
    },
  };
}

/**
 * Brings a content to its place. Without `bytes`: asks whether it is there.
 * @returns true when it was there.
 */
async function receive(
  host: Host,
  paths: HostPaths,
  digest: Digest,
  size: number,
  bytes: Readable | Uint8Array | undefined,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  const script = `file=${shellQuote(`${storageRoot(paths)}/${blobFile(digest)}`)}
[ "$(stat -c %s "$file" 2>/dev/null)" = ${size} ] && exit ${PRESENT}
${bytes === undefined ? 'exit 0' : ''}
umask 022
mkdir -p "\${file%/*}" || exit 1
new=$(mktemp "\${file%/*}/.slipway.XXXXXXXXXX") || exit 1
trap 'rm -f "$new"' EXIT
trap 'exit 143' TERM HUP INT
cat >"$new" || exit 1
sum=$(${algorithmOf(digest)}sum <"$new") || exit 1
[ "\${sum%% *}" = ${hexOf(digest)} ] || exit ${DAMAGED}
chmod 644 "$new" && sync "$new" && mv -f "$new" "$file"`;
  const { code, stderr } = await host.run(script, {
    title: bytes === undefined ? 'looking what the registry has' : `receiving ${digest.slice(0, 19)}`,
    allowFailure: true,
    ...(bytes === undefined
      ? { timeoutMs: 60_000 }
      : { stdin: bytes, timeoutMs: TRANSFER_TIMEOUT_MS, idleTimeoutMs: IDLE_TIMEOUT_MS }),
    ...given(signal),
  });
  if (code === 0 || code === PRESENT) return code === PRESENT;
  if (code === DAMAGED) {
    throw new SlipwayError(
      'E_DIGEST_MISMATCH',
      `host ${host.address}: blob ${digest} did not arrive as its digest says`,
      {
        hint: 'the image is damaged where it comes from, or the disk of the host is: try again',
      },
    );
  }
  const full = /no space left|quota exceeded/i.test(stderr);
  throw new SlipwayError(
    full ? 'E_NO_SPACE' : 'E_HOST_COMMAND',
    `host ${host.address}: receiving blob ${digest} failed with exit code ${code}: ${stderr.trim().split('\n').at(-1) ?? ''}`,
    full ? { hint: 'free some space on the host, then run the same command again' } : {},
  );
}

/** Small files that say what a repository has; each is there whole or not at all. */
async function writeLinks(
  host: Host,
  paths: HostPaths,
  links: readonly (readonly [path: string, digest: Digest])[],
  signal?: AbortSignal,
): Promise<void> {
  await host.run(
    `set -e
umask 022
cd ${shellQuote(storageRoot(paths))}
while read -r path digest; do
  mkdir -p "\${path%/*}"
  printf %s "$digest" >"$path.new"
  mv -f "$path.new" "$path"
done`,
    {
      title: 'naming content in the registry',
      stdin: links.map(([path, digest]) => `${path} ${digest}\n`).join(''),
      timeoutMs: 60_000,
      ...given(signal),
    },
  );
}

async function* counted(
  pieces: AsyncIterable<Uint8Array>,
  onProgress: (bytes: number) => void,
): AsyncGenerator<Uint8Array, void, void> {
  for await (const piece of pieces) {
    onProgress(piece.byteLength);
    yield piece;
  }
}

function given(signal: AbortSignal | undefined): { readonly signal?: AbortSignal } {
  return signal === undefined ? {} : { signal };
}

import { mapLimit } from '../../base/concurrency.js';
import { isSlipwayError, messageOf } from '../../base/errors.js';
import { counted, formatBytes } from '../../base/format.js';
import type { Reporter } from '../../base/reporter.js';
import { type Digest, shortDigest } from '../../image/digest.js';
import { isDocumentType } from '../../image/media-types.js';
import { Repository } from '../../registry/client.js';
import { copyGraph } from '../../registry/copy.js';
import type { RegistryOptions } from '../../registry/options.js';
import { remoteTarget } from '../../registry/remote-content.js';
import type { WantedEntry } from '../files/rootfs.js';
import { type CarriedImage, carriedContent, carriedImages } from './carried-images.js';

const PARALLEL_QUESTIONS = 6;

/** A registry that images are uploaded to. */
export interface UploadPlace {
  /** `harbor.example:443` */
  readonly host: string;
  readonly options: RegistryOptions;
}

/** Which of the images that a rootfs carries an external registry lacks. */
export async function missingImages(
  entries: readonly WantedEntry[],
  { host, options }: UploadPlace,
  signal?: AbortSignal,
): Promise<{ readonly missing: readonly CarriedImage[]; readonly all: number }> {
  const images = (await carriedImages(entries)).filter(({ tag }) => tag !== undefined);
  const there = await mapLimit(images, PARALLEL_QUESTIONS, ({ repository, tag, digest }) =>
    new Repository(host, repository, options).manifests.has(tag ?? digest, digest, signal),
  );
  return { missing: images.filter((_, index) => there[index] !== true), all: images.length };
}

/**
 * Gives an external registry the images that a rootfs carries, under the names that a mirror is asked for. What is there already is not sent
 * again, what another of its repositories has is mounted; everything is verified on the way, tags come last.
 * @throws SlipwayError that names the registry.
 */
export async function uploadImages(
  entries: readonly WantedEntry[],
  { host, options }: UploadPlace,
  { reporter, signal }: { readonly reporter: Reporter; readonly signal?: AbortSignal },
): Promise<string> {
  const content = carriedContent(entries);
  const where = new Map<Digest, Set<string>>();
  const total = { copied: 0, reused: 0 };
  const images = await carriedImages(entries);
  for (const { repository, tag, digest } of images) {
    const { descriptor, bytes, document } = await content.documentAt(digest);
    const place = new Repository(host, repository, options);
    const target = remoteTarget(place, {
      root: tag === undefined ? undefined : { digest, tag },
      mountFrom: async (blob) => [...(where.get(blob) ?? [])],
    });
    const lacks = document.kind === 'index' ? await missingChildren(document.index.manifests, content) : [];
    if (lacks.length > 0) {
      await offerIndex(
        () => place.pushManifest(digest, { descriptor, bytes, document }, signal),
        repository,
        digest,
        reporter,
      );
      continue;
    }
    const { copied, reused } = await copyGraph(content, target, descriptor, {
      reporter,
      signal,
      onBlob: async (blob) => {
        where.set(blob.digest, (where.get(blob.digest) ?? new Set()).add(repository));
      },
    });
    total.copied += copied;
    total.reused += reused;
  }
  return `${counted(images.length, 'image')}, ${formatBytes(total.copied)} sent, ${formatBytes(total.reused)} were there`;
}

/** An image for one platform is carried with the index that names it by digest; not all that the index names is. */
async function missingChildren(
  children: readonly { readonly digest: Digest; readonly mediaType: string; readonly size: number }[],
  content: ReturnType<typeof carriedContent>,
): Promise<readonly Digest[]> {
  const there = await Promise.all(children.map((child) => content.has?.(child)));
  return children
    .filter(({ mediaType }, index) => isDocumentType(mediaType) && there[index] !== true)
    .map(({ digest }) => digest);
}

/** A registry may refuse an index of which not all is there. The images are there all the same, but not by its digest. */
async function offerIndex(
  push: () => Promise<void>,
  repository: string,
  digest: Digest,
  reporter: Reporter,
): Promise<void> {
  try {
    await push();
  } catch (error) {
    if (!isSlipwayError(error) || error.code === 'E_INTERRUPTED' || error.code === 'E_REGISTRY_UNREACHABLE')
      throw error;
    reporter.warn(
      `${repository}@${shortDigest(digest)}: the registry refuses an index whose other platforms are not here (${messageOf(error)}); pods find the image by its tag, or the digest of its manifest`,
    );
  }
}

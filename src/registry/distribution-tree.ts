import { createHash } from 'node:crypto';
import { SlipwayError } from '../base/errors.js';
import type { Digest } from '../image/digest.js';
import { isNondistributable } from '../image/media-types.js';
import type { Descriptor } from '../image/oci.js';
import { canonicalName, type Reference, registryAddress } from '../image/reference.js';
import { comparePaths, type PackEntry } from '../layers/toc.js';
import { readDocument } from '../store/local-image.js';
import type { Store } from '../store/store.js';
import { blobFile, layerLink, revisionLink, STORAGE_ROOT, tagIndexLink, tagLink } from './distribution-paths.js';

/** Where the cluster's registry finds its storage, relative to the rootfs. */
const ROOT = `registry/${STORAGE_ROOT}`;

/** A container image that a cluster image carries; its content is in the store. */
export interface CarriedImage {
  readonly reference: Reference;
  readonly descriptor: Descriptor;
  /**
   * Indexes that led to it and are in the store. An image that pods name by the digest of its index must be found under that digest; what else
   * the index names (other platforms) is not carried.
   */
  readonly indexes?: readonly Descriptor[];
}

/** One layer of the tree. */
export interface DistributionLayer {
  /** Equal for equal content. */
  readonly key: string;
  /** For the image's history. */
  readonly title: string;
  /** Sorted, parents first, times and owners fixed; contents are blobs of the store and small links. */
  readonly entries: readonly PackEntry[];
}

/** What one image brings into the tree. */
interface Contribution extends CarriedImage {
  readonly repository: string;
  /** Of the manifest and all that it reaches. */
  readonly blobs: ReadonlyMap<Digest, number>;
  readonly manifests: readonly Digest[];
  readonly layers: readonly Digest[];
}

/**
 * The storage of Docker's registry (distribution's filesystem driver) for container images of the store, in layers that images with
 * other versions can share: one with the blobs of each image, one with the blobs that several images use, and a small one with
 * the links in `repositories/`.
 *
 * A repository has the name that the cluster asks for: its registry is a mirror, and a mirror is asked for `library/web`, whatever
 * host `web` comes from.
 * @throws SlipwayError E_INVALID_MANIFEST when two images would have the same repository and tag there, naming both; E_NOT_FOUND when
 * content is missing in the store.
 */
export async function distributionLayers(
  store: Store,
  images: readonly CarriedImage[],
): Promise<readonly DistributionLayer[]> {
  const contributions = await Promise.all(images.map((image) => contributionOf(store, image)));
  contributions.sort((a, b) => comparePaths(canonicalName(a.reference), canonicalName(b.reference)));
  checkNames(contributions);
  const users = new Map<Digest, number>();
  for (const { blobs } of contributions)
    for (const digest of blobs.keys()) users.set(digest, (users.get(digest) ?? 0) + 1);
  const layers: DistributionLayer[] = [];
  const shared = new Map<Digest, number>();
  for (const { reference, blobs } of contributions) {
    const own = new Map<Digest, number>();
    for (const [digest, size] of blobs) (users.get(digest) === 1 ? own : shared).set(digest, size);
    if (own.size > 0) layers.push(blobLayer(store, canonicalName(reference), own));
  }
  if (shared.size > 0) layers.push(blobLayer(store, 'content shared by container images', shared));
  if (contributions.length > 0) layers.push(linkLayer(contributions));
  return layers;
}

async function contributionOf(
  store: Store,
  { reference, descriptor, indexes = [] }: CarriedImage,
): Promise<Contribution> {
  const name = canonicalName(reference);
  const blobs = new Map<Digest, number>();
  const manifests: Digest[] = [];
  const layers: Digest[] = [];
  const visit = async (document: Descriptor): Promise<void> => {
    if (blobs.has(document.digest)) return;
    const read = await readDocument(store, document, name);
    blobs.set(document.digest, document.size);
    manifests.push(document.digest);
    if (read.kind === 'index') {
      for (const child of read.index.manifests) await visit(child);
      return;
    }
    for (const blob of [read.manifest.config, ...read.manifest.layers]) {
      if (isNondistributable(blob.mediaType)) continue;
      if ((await store.blobSize(blob.digest)) !== blob.size) {
        throw new SlipwayError('E_NOT_FOUND', `${name}: blob ${blob.digest} is not in the store`, {
          hint: `pull ${name} again`,
        });
      }
      blobs.set(blob.digest, blob.size);
      layers.push(blob.digest);
    }
  };
  await visit(descriptor);
  for (const index of indexes) {
    blobs.set(index.digest, index.size);
    manifests.push(index.digest);
  }
  return { reference, descriptor, repository: registryAddress(reference).repository, blobs, manifests, layers };
}

/** One image under two upstream names is fine; two images under one name are not. */
function checkNames(contributions: readonly Contribution[]): void {
  const taken = new Map<string, Contribution>();
  for (const image of contributions) {
    const name = `${image.repository}:${image.reference.tag ?? ''}`;
    const other = taken.get(name);
    if (
      image.reference.tag !== undefined &&
      other !== undefined &&
      other.descriptor.digest !== image.descriptor.digest
    ) {
      throw new SlipwayError(
        'E_INVALID_MANIFEST',
        `${canonicalName(other.reference)} and ${canonicalName(image.reference)} are different images, but both would be ${name} in the cluster's registry`,
        { hint: 'a registry mirror does not see the host of a name: give one of them another repository or tag' },
      );
    }
    taken.set(name, image);
  }
}

function blobLayer(store: Store, title: string, blobs: ReadonlyMap<Digest, number>): DistributionLayer {
  const files = [...blobs].map(([digest, size]) =>
    file(`${ROOT}/${blobFile(digest)}`, size, { file: store.blobPath(digest) }),
  );
  return layer(title, files, [...blobs.keys()].sort());
}

function linkLayer(contributions: readonly Contribution[]): DistributionLayer {
  const links = new Map<string, Digest>();
  for (const { repository, reference, descriptor, manifests, layers } of contributions) {
    for (const digest of layers) links.set(`${ROOT}/${layerLink(repository, digest)}`, digest);
    for (const digest of manifests) links.set(`${ROOT}/${revisionLink(repository, digest)}`, digest);
    if (reference.tag === undefined) continue;
    links.set(`${ROOT}/${tagLink(repository, reference.tag)}`, descriptor.digest);
    links.set(`${ROOT}/${tagIndexLink(repository, reference.tag, descriptor.digest)}`, descriptor.digest);
  }
  const files = [...links].map(([path, digest]) =>
    file(path, Buffer.byteLength(digest), { bytes: Buffer.from(digest) }),
  );
  return layer('container image names', files, [...links].map(([path, digest]) => `${path} ${digest}`).sort());
}

function layer(title: string, files: readonly PackEntry[], identity: readonly string[]): DistributionLayer {
  const directories = new Set<string>();
  for (const { path } of files) {
    for (let slash = path.indexOf('/'); slash >= 0; slash = path.indexOf('/', slash + 1))
      directories.add(path.slice(0, slash));
  }
  const entries = [...[...directories].map(directory), ...files].sort((a, b) => comparePaths(a.path, b.path));
  const key = createHash('sha256').update(identity.join('\n')).digest('hex');
  return { key, title, entries };
}

function file(path: string, size: number, content: NonNullable<PackEntry['content']>): PackEntry {
  return { path, type: 'file', mode: 0o644, uid: 0, gid: 0, size, mtime: 0, content };
}

function directory(path: string): PackEntry {
  return { path, type: 'dir', mode: 0o755, uid: 0, gid: 0, size: 0, mtime: 0 };
}

import { isSlipwayError } from '../../base/errors.js';
import { type Digest, digestOf, isDigest } from '../../image/digest.js';
import { successors } from '../../image/graph.js';
import { isNondistributable, MEDIA } from '../../image/media-types.js';
import { type Descriptor, type ImageDocument, MANIFEST_LIMIT, parseImageDocument } from '../../image/oci.js';
import { readBounded } from '../bounded.js';
import { describeArtifact, subjectOf } from '../referrers.js';
import { beginWrite, type Exchange, sendBytes, sendEmpty, wrongMethod } from './exchange.js';
import { HttpError } from './http-error.js';
import { type ServedImage, servedImages, storeName } from './names.js';

/** GET, HEAD, PUT and DELETE of a manifest by tag or digest. */
export async function serveManifest(exchange: Exchange, repository: string, reference: string): Promise<void> {
  switch (exchange.request.method) {
    case 'GET':
    case 'HEAD':
      return readManifest(exchange, repository, reference);
    case 'PUT':
      await beginWrite(exchange);
      return writeManifest(exchange, repository, reference);
    case 'DELETE':
      await beginWrite(exchange);
      return deleteManifest(exchange, repository, reference);
    default:
      throw wrongMethod(exchange, 'GET, HEAD, PUT, DELETE');
  }
}

async function readManifest(exchange: Exchange, repository: string, reference: string): Promise<void> {
  const { store } = exchange.state;
  const found = isDigest(reference)
    ? await manifestByDigest(exchange, reference)
    : (await repositoryImages(exchange, repository)).find(({ tag }) => tag === reference)?.descriptor;
  if (found === undefined) throw new HttpError(404, 'MANIFEST_UNKNOWN', `${repository} has no ${reference}`);
  const bytes = await store.readBlob(found, MANIFEST_LIMIT);
  sendBytes(exchange, bytes, found.mediaType, {
    'docker-content-digest': found.digest,
    etag: `"${found.digest}"`,
  });
}

/** Any manifest of the store: digests say everything, and repositories share their content. */
async function manifestByDigest({ state: { store } }: Exchange, digest: Digest): Promise<Descriptor | undefined> {
  const size = await store.blobSize(digest);
  if (size === undefined || size > MANIFEST_LIMIT) return undefined;
  try {
    const { mediaType } = parseImageDocument(await store.readBlob({ digest, size }, MANIFEST_LIMIT), undefined, digest);
    return { mediaType, digest, size };
  } catch (error) {
    if (isSlipwayError(error, 'E_INVALID_MANIFEST')) return undefined; // a blob that is no manifest
    throw error;
  }
}

async function writeManifest(exchange: Exchange, repository: string, reference: string): Promise<void> {
  const { state, request } = exchange;
  const bytes = await readBounded(
    request.iterator({ destroyOnReturn: false }) as AsyncIterable<Uint8Array>,
    MANIFEST_LIMIT,
  );
  if (bytes === undefined) {
    throw new HttpError(413, 'MANIFEST_INVALID', `the manifest has more than ${MANIFEST_LIMIT} bytes`);
  }
  const digest = digestOf(bytes);
  if (isDigest(reference) && reference !== digest) {
    throw new HttpError(400, 'DIGEST_INVALID', `the manifest has the digest ${digest}, not ${reference}`);
  }
  const contentType = request.headers['content-type']?.split(';', 1)[0]?.trim();
  const document = parseImageDocument(bytes, contentType, `${repository}:${reference}`);
  await requireContent(exchange, document);
  const { size } = await state.store.putBlob(bytes);
  await state.store.tag(storeName(repository, reference), { mediaType: document.mediaType, digest, size });
  await dropLooseNames(exchange, repository, reference, digest, document);
  const subject = subjectOf(document);
  sendEmpty(exchange, 201, {
    location: `/v2/${repository}/manifests/${digest}`,
    'docker-content-digest': digest,
    ...(subject === undefined ? {} : { 'oci-subject': subject.digest }),
  });
}

/** A manifest becomes visible when all that it names is here. A `subject` may come later; distribution-spec allows that. */
async function requireContent({ state: { store } }: Exchange, document: ImageDocument): Promise<void> {
  for (const { digest, mediaType, size } of successors(document)) {
    if (isNondistributable(mediaType)) continue;
    const have = await store.blobSize(digest);
    if (have === undefined) throw new HttpError(404, 'MANIFEST_BLOB_UNKNOWN', `${digest} has not been pushed`);
    if (have !== size)
      throw new HttpError(400, 'SIZE_INVALID', `${digest} has ${have} bytes, the manifest says ${size}`);
  }
}

/**
 * What is pushed by digest gets the name `REPOSITORY@DIGEST`, so that no collection takes it. Once a tag or an index leads to it, that
 * name is only clutter.
 */
async function dropLooseNames(
  { state: { store } }: Exchange,
  repository: string,
  reference: string,
  digest: Digest,
  document: ImageDocument,
): Promise<void> {
  const reached = document.kind === 'index' ? document.index.manifests.map((child) => child.digest) : [];
  for (const loose of isDigest(reference) ? reached : [digest, ...reached])
    await store.untag(storeName(repository, loose));
}

/** By tag: the tag alone. By digest: every name of the repository for it. Blobs stay until a collection. */
async function deleteManifest(exchange: Exchange, repository: string, reference: string): Promise<void> {
  const images = (await repositoryImages(exchange, repository)).filter(({ tag, descriptor }) =>
    isDigest(reference) ? descriptor.digest === reference : tag === reference,
  );
  if (images.length === 0) throw new HttpError(404, 'MANIFEST_UNKNOWN', `${repository} has no ${reference}`);
  for (const { name } of images) await exchange.state.store.untag(name);
  sendEmpty(exchange, 202);
}

/** The manifests of a repository that are about `digest`; distribution-spec, "Listing Referrers". */
export async function serveReferrers(exchange: Exchange, repository: string, digest: Digest): Promise<void> {
  const { store } = exchange.state;
  const wanted = exchange.url.searchParams.get('artifactType');
  const manifests: Descriptor[] = [];
  const seen = new Set<Digest>();
  for (const { name, descriptor } of await repositoryImages(exchange, repository)) {
    if (seen.has(descriptor.digest)) continue;
    seen.add(descriptor.digest);
    const document = parseImageDocument(await store.readBlob(descriptor, MANIFEST_LIMIT), descriptor.mediaType, name);
    if (subjectOf(document)?.digest !== digest) continue;
    const { mediaType, size } = descriptor;
    manifests.push({ mediaType, digest: descriptor.digest, size, ...describeArtifact(document) });
  }
  const shown = wanted === null ? manifests : manifests.filter(({ artifactType }) => artifactType === wanted);
  const index = { schemaVersion: 2, mediaType: MEDIA.index, manifests: shown };
  sendBytes(
    exchange,
    JSON.stringify(index),
    MEDIA.index,
    wanted === null ? {} : { 'oci-filters-applied': 'artifactType' },
  );
}

async function repositoryImages({ state, hosts }: Exchange, repository: string): Promise<readonly ServedImage[]> {
  return (await servedImages(state.store, hosts)).filter((image) => image.repository === repository);
}

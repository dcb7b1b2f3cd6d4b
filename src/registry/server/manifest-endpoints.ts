import { createHash } from 'node:crypto';
import { isSlipwayError } from '../../base/errors.js';
import { algorithmOf, type Digest, digestOf, isDigest, parseDigest } from '../../image/digest.js';
import { successors } from '../../image/graph.js';
import { isNondistributable, MEDIA } from '../../image/media-types.js';
import { type Descriptor, type ImageDocument, MANIFEST_LIMIT, parseImageDocument } from '../../image/oci.js';
import { readBounded } from '../bounded.js';
import { describeArtifact, subjectOf } from '../referrers.js';
import { etagOf, isKnown } from './conditions.js';
import { isHidden, nameThatNeeds, repositoryDocuments } from './documents.js';
import { type Exchange, sendBytes, sendEmpty, writing, wrongMethod } from './exchange.js';
import { HttpError } from './http-error.js';
import { repositoryImages, storeName } from './names.js';

const TAG = /^\w[\w.-]{0,127}$/;

/** GET, HEAD, PUT and DELETE of a manifest by tag or digest. */
export async function serveManifest(exchange: Exchange, repository: string, reference: string): Promise<void> {
  switch (exchange.request.method) {
    case 'GET':
    case 'HEAD':
      return readManifest(exchange, repository, reference);
    case 'PUT':
      return writing(exchange, () => writeManifest(exchange, repository, reference));
    case 'DELETE':
      return writing(exchange, () => deleteManifest(exchange, repository, reference));
    default:
      throw wrongMethod(exchange, 'GET, HEAD, PUT, DELETE');
  }
}

/** The bytes as they were pushed, whatever Accept says: they have a digest, and are never converted. */
async function readManifest(exchange: Exchange, repository: string, reference: string): Promise<void> {
  const { state, request } = exchange;
  const found = isDigest(reference)
    ? await manifestByDigest(exchange, repository, reference)
    : (await repositoryImages(exchange, repository)).find(({ tag }) => tag === reference)?.descriptor;
  if (found === undefined) throw unknownManifest(repository, reference);
  const headers = { 'docker-content-digest': found.digest, etag: etagOf(found.digest) };
  if (isKnown(request.headers, headers.etag)) return sendEmpty(exchange, 304, headers);
  sendBytes(exchange, await state.store.readBlob(found, MANIFEST_LIMIT), found.mediaType, headers);
}

function unknownManifest(repository: string, reference: string): HttpError {
  return new HttpError(404, 'MANIFEST_UNKNOWN', `${repository} has no ${reference}`);
}

/**
 * Any manifest of the store that has not been deleted from the repository: digests say everything, and repositories share their content. So
 * who has resolved a tag gets what it stood for, also when it is pushed anew in between.
 */
async function manifestByDigest(
  exchange: Exchange,
  repository: string,
  digest: Digest,
): Promise<Descriptor | undefined> {
  const { store } = exchange.state;
  if (await isHidden(exchange, repository, digest)) return undefined;
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
  if (!isDigest(reference) && !TAG.test(reference))
    throw new HttpError(400, 'MANIFEST_INVALID', `${JSON.stringify(reference)} is neither a tag nor a digest`);
  const bytes = await readBounded(
    request.iterator({ destroyOnReturn: false }) as AsyncIterable<Uint8Array>,
    MANIFEST_LIMIT,
  );
  if (bytes === undefined) {
    throw new HttpError(413, 'MANIFEST_INVALID', `the manifest has more than ${MANIFEST_LIMIT} bytes`);
  }
  const digest = isDigest(reference) ? hashLike(reference, bytes) : digestOf(bytes);
  if (isDigest(reference) && reference !== digest) {
    throw new HttpError(400, 'DIGEST_INVALID', `the manifest has the digest ${digest}, not ${reference}`);
  }
  const contentType = request.headers['content-type']?.split(';', 1)[0]?.trim();
  const document = parseImageDocument(bytes, contentType, `${repository}:${reference}`);
  await requireContent(exchange, repository, document);
  const writer = await state.store.newBlob(digest);
  await writer.write(bytes);
  const { size } = await writer.commit({ digest });
  await state.store.tag(storeName(repository, reference), { mediaType: document.mediaType, digest, size });
  for (const needed of [digest, ...successors(document).map((next) => next.digest)])
    state.removed.restore(repository, needed);
  await dropLooseNames(exchange, repository, reference, digest, document);
  state.lease.reached([digest, ...successors(document).map((next) => next.digest)], exchange.client);
  const subject = subjectOf(document);
  sendEmpty(exchange, 201, {
    location: `/v2/${repository}/manifests/${digest}`,
    'docker-content-digest': digest,
    ...(subject === undefined ? {} : { 'oci-subject': subject.digest }),
  });
}

function hashLike(digest: Digest, bytes: Uint8Array): Digest {
  const algorithm = algorithmOf(digest);
  return parseDigest(`${algorithm}:${createHash(algorithm).update(bytes).digest('hex')}`);
}

/** A manifest becomes visible when all that it names is here. A `subject` may come later; distribution-spec allows that. */
async function requireContent(exchange: Exchange, repository: string, document: ImageDocument): Promise<void> {
  const { store } = exchange.state;
  for (const { digest, mediaType, size } of successors(document)) {
    if (isNondistributable(mediaType)) continue;
    const have = (await isHidden(exchange, repository, digest)) ? undefined : await store.blobSize(digest);
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
  const loose = new Set(
    (isDigest(reference) ? reached : [digest, ...reached]).map((each) => storeName(repository, each)),
  );
  for (const { name } of await store.images()) if (loose.has(name)) await store.untag(name);
}

/** By tag: the tag alone. By digest: every name of the repository for it, and it is not shown there any more. */
async function deleteManifest(exchange: Exchange, repository: string, reference: string): Promise<void> {
  const { store, removed } = exchange.state;
  const images = await repositoryImages(exchange, repository);
  if (isDigest(reference)) {
    if ((await manifestByDigest(exchange, repository, reference)) === undefined)
      throw unknownManifest(repository, reference);
    const name = await nameThatNeeds(exchange, repository, reference);
    if (name !== undefined) throw new HttpError(405, 'UNSUPPORTED', `it is a part of ${name}: delete that first`);
    removed.add(repository, reference);
  } else if (!images.some(({ tag }) => tag === reference)) throw unknownManifest(repository, reference);
  for (const { name, tag, descriptor } of images)
    if (isDigest(reference) ? descriptor.digest === reference : tag === reference) await store.untag(name);
  sendEmpty(exchange, 202);
}

/** The manifests of a repository that are about `digest`; distribution-spec, "Listing Referrers". */
export async function serveReferrers(exchange: Exchange, repository: string, digest: Digest): Promise<void> {
  const wanted = exchange.url.searchParams.get('artifactType');
  const manifests: Descriptor[] = [];
  for await (const { descriptor, document } of repositoryDocuments(exchange, repository)) {
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

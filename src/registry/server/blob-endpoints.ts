import { once } from 'node:events';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { errnoOf } from '../../base/errors.js';
import type { Digest } from '../../image/digest.js';
import { etagOf, isKnown, rangeHeader } from './conditions.js';
import { isHidden, nameThatNeeds } from './documents.js';
import { type Exchange, isHead, sendEmpty, writing, wrongMethod } from './exchange.js';
import { HttpError, writeHead } from './http-error.js';
import { type ByteRange, parseContentRange, parseRange } from './range.js';
import { checkDigest } from './route.js';
import { uploadRange } from './uploads.js';

/** GET, HEAD and DELETE of a blob. */
export async function serveBlob(exchange: Exchange, repository: string, digest: Digest): Promise<void> {
  switch (exchange.request.method) {
    case 'GET':
      return readBlob(exchange, repository, digest);
    case 'HEAD':
      return askForBlob(exchange, repository, digest);
    case 'DELETE':
      return writing(exchange, () => deleteBlob(exchange, repository, digest));
    default:
      throw wrongMethod(exchange, 'GET, HEAD, DELETE');
  }
}

/**
 * Whether a blob is here. Who asks about one that no name leads to is about to push a manifest that names it: it may not be collected before.
 */
async function askForBlob(exchange: Exchange, repository: string, digest: Digest): Promise<void> {
  const { state, client } = exchange;
  const absent = (await state.store.blobSize(digest)) === undefined;
  if (absent || state.readOnly) return readBlob(exchange, repository, digest);
  if (await state.named.has(digest)) {
    await readBlob(exchange, repository, digest);
    return state.lease.askedBy(client);
  }
  await state.lease.during(async () => {
    await readBlob(exchange, repository, digest);
    state.lease.expectManifestFor(digest);
  }, client);
}

/** A blob, whole or a part. */
async function readBlob(exchange: Exchange, repository: string, digest: Digest): Promise<void> {
  const { state, request, response } = exchange;
  const size = await visibleSize(exchange, repository, digest);
  const etag = etagOf(digest);
  const common = { 'docker-content-digest': digest, etag, 'cache-control': 'max-age=31536000, immutable' };
  if (isKnown(request.headers, etag)) return sendEmpty(exchange, 304, common);
  const range = isHead(exchange) ? undefined : parseRange(rangeHeader(request.headers, etag), size);
  if (range === 'unsatisfiable') {
    throw new HttpError(416, 'SIZE_INVALID', `the blob has ${size} bytes`, { 'content-range': `bytes */${size}` });
  }
  const { start, end } = range ?? { start: 0, end: size - 1 };
  // Opened before anything is said: a collection may come between, and what is open stays readable.
  const content =
    isHead(exchange) || size === 0 ? undefined : await opened(state.store.openBlob(digest, { start, end }));
  writeHead(request, response, range === undefined ? 200 : 206, {
    ...common,
    'content-type': 'application/octet-stream',
    'content-length': end - start + 1,
    'accept-ranges': 'bytes',
    ...(range === undefined ? {} : { 'content-range': `bytes ${start}-${end}/${size}` }),
  });
  if (content === undefined) response.end();
  else await pipeline(content, response);
}

async function opened(content: Readable): Promise<Readable> {
  try {
    await once(content, 'open');
    return content;
  } catch (error) {
    throw errnoOf(error) === 'ENOENT' ? new HttpError(404, 'BLOB_UNKNOWN', 'the blob has just been removed') : error;
  }
}

/** @throws HttpError 404 */
async function visibleSize(exchange: Exchange, repository: string, digest: Digest): Promise<number> {
  const size = (await isHidden(exchange, repository, digest)) ? undefined : await exchange.state.store.blobSize(digest);
  if (size === undefined) throw new HttpError(404, 'BLOB_UNKNOWN', `blob ${digest} is not here`);
  return size;
}

/** The repository does not show it any more; the space is freed by the next collection that finds it unused. */
async function deleteBlob(exchange: Exchange, repository: string, digest: Digest): Promise<void> {
  await visibleSize(exchange, repository, digest);
  // Hidden first: a manifest that comes at the same moment either does not find it, or is found here.
  const { removed } = exchange.state;
  removed.add(repository, digest);
  const name = await nameThatNeeds(exchange, repository, digest);
  if (name !== undefined) {
    removed.restore(repository, digest);
    throw new HttpError(405, 'UNSUPPORTED', `${name} needs this blob: delete that first`);
  }
  sendEmpty(exchange, 202);
}

/** POST: a new upload, a mount, or a whole blob in one request. */
export async function startUpload(exchange: Exchange, repository: string): Promise<void> {
  if (exchange.request.method !== 'POST') throw wrongMethod(exchange, 'POST');
  await writing(exchange, () => begin(exchange, repository));
}

async function begin(exchange: Exchange, repository: string): Promise<void> {
  const { state, request, url } = exchange;
  const mount = url.searchParams.get('mount');
  // All repositories share one content store: whatever is here can be mounted.
  if (mount !== null && (await state.store.blobSize(checkDigest(mount))) !== undefined) {
    return sendBlobCreated(exchange, repository, checkDigest(mount));
  }
  const digest = url.searchParams.get('digest');
  const whole = digest === null ? undefined : checkDigest(digest);
  const id = await state.uploads.begin(repository, exchange.client);
  if (whole === undefined) return sendUpload(exchange, 202, repository, id, 0);
  try {
    await state.uploads.append(repository, id, request, undefined);
  } catch (error) {
    await state.uploads.cancel(repository, id).catch(() => {}); // nobody knows its id
    throw error;
  }
  await finish(exchange, repository, id, whole);
}

/** GET, PATCH, PUT and DELETE of an upload. */
export async function continueUpload(exchange: Exchange, repository: string, id: string): Promise<void> {
  const { state, request, url } = exchange;
  switch (request.method) {
    case 'GET':
    case 'HEAD':
      return sendUpload(exchange, 204, repository, id, state.uploads.written(repository, id));
    case 'PATCH':
      return writing(exchange, async () => {
        const written = await state.uploads.append(repository, id, request, rangeOf(exchange));
        sendUpload(exchange, 202, repository, id, written);
      });
    case 'PUT':
      return writing(exchange, async () => {
        const digest = checkDigest(url.searchParams.get('digest') ?? '');
        await state.uploads.append(repository, id, request, rangeOf(exchange));
        await finish(exchange, repository, id, digest);
      });
    case 'DELETE':
      return writing(exchange, async () => {
        await state.uploads.cancel(repository, id);
        sendEmpty(exchange, 204);
      });
    default:
      throw wrongMethod(exchange, 'GET, PATCH, PUT, DELETE');
  }
}

async function finish(exchange: Exchange, repository: string, id: string, digest: Digest): Promise<void> {
  await exchange.state.uploads.finish(repository, id, digest);
  sendBlobCreated(exchange, repository, digest);
}

function sendBlobCreated(exchange: Exchange, repository: string, digest: Digest): void {
  const { lease, removed } = exchange.state;
  removed.restore(repository, digest);
  lease.expectManifestFor(digest);
  sendEmpty(exchange, 201, { location: `/v2/${repository}/blobs/${digest}`, 'docker-content-digest': digest });
}

function sendUpload(exchange: Exchange, status: number, repository: string, id: string, written: number): void {
  sendEmpty(exchange, status, {
    location: `/v2/${repository}/blobs/uploads/${id}`,
    range: uploadRange(written),
    'docker-upload-uuid': id,
  });
}

function rangeOf({ request }: Exchange): ByteRange | undefined {
  const header = request.headers['content-range'];
  // An empty last PUT may carry a range that means nothing.
  if (header === undefined || request.headers['content-length'] === '0') return undefined;
  const range = parseContentRange(header);
  if (range === undefined || range.end < range.start) {
    throw new HttpError(400, 'BLOB_UPLOAD_INVALID', `Content-Range ${JSON.stringify(header)} is not START-END`);
  }
  return range;
}

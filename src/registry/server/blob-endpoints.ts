import { pipeline } from 'node:stream/promises';
import type { Digest } from '../../image/digest.js';
import { beginWrite, type Exchange, isHead, sendEmpty, wrongMethod } from './exchange.js';
import { HttpError } from './http-error.js';
import { parseContentRange, parseRange } from './range.js';
import { checkDigest } from './route.js';
import { uploadRange } from './uploads.js';

/** GET and HEAD of a blob, whole or a part. */
export async function serveBlob(exchange: Exchange, digest: Digest): Promise<void> {
  const { state, request, response } = exchange;
  if (request.method === 'DELETE') {
    throw new HttpError(405, 'UNSUPPORTED', 'blobs are removed by "slipway prune" once no image needs them');
  }
  if (request.method !== 'GET' && request.method !== 'HEAD') throw wrongMethod(exchange, 'GET, HEAD');
  const size = await state.store.blobSize(digest);
  if (size === undefined) throw new HttpError(404, 'BLOB_UNKNOWN', `blob ${digest} is not here`);
  const range = parseRange(request.headers.range, size);
  if (range === 'unsatisfiable') {
    throw new HttpError(416, 'SIZE_INVALID', `the blob has ${size} bytes`, { 'content-range': `bytes */${size}` });
  }
  const { start, end } = range ?? { start: 0, end: size - 1 };
  response.writeHead(range === undefined ? 200 : 206, {
    'content-type': 'application/octet-stream',
    'content-length': end - start + 1,
    'accept-ranges': 'bytes',
    'docker-content-digest': digest,
    etag: `"${digest}"`,
    ...(range === undefined ? {} : { 'content-range': `bytes ${start}-${end}/${size}` }),
  });
  if (isHead(exchange) || size === 0) response.end();
  else await pipeline(state.store.openBlob(digest, { start, end }), response);
}

/** POST: a new upload, a mount, or a whole blob in one request. */
export async function startUpload(exchange: Exchange, repository: string): Promise<void> {
  const { state, request, url } = exchange;
  if (request.method !== 'POST') throw wrongMethod(exchange, 'POST');
  await beginWrite(exchange);
  const mount = url.searchParams.get('mount');
  // All repositories share one content store: whatever is here can be mounted.
  if (mount !== null && (await state.store.blobSize(checkDigest(mount))) !== undefined) {
    sendEmpty(exchange, 201, { location: `/v2/${repository}/blobs/${mount}`, 'docker-content-digest': mount });
    return;
  }
  const digest = url.searchParams.get('digest');
  const whole = digest === null ? undefined : checkDigest(digest);
  const id = await state.uploads.begin(repository);
  if (whole !== undefined) {
    await state.uploads.append(repository, id, request, undefined);
    await finish(exchange, repository, id, whole);
    return;
  }
  sendUpload(exchange, 202, repository, id, 0);
}

/** GET, PATCH, PUT and DELETE of an upload. */
export async function continueUpload(exchange: Exchange, repository: string, id: string): Promise<void> {
  const { state, request, url } = exchange;
  switch (request.method) {
    case 'GET':
    case 'HEAD':
      sendUpload(exchange, 204, repository, id, state.uploads.written(repository, id));
      return;
    case 'PATCH': {
      await beginWrite(exchange);
      sendUpload(exchange, 202, repository, id, await state.uploads.append(repository, id, request, rangeOf(exchange)));
      return;
    }
    case 'PUT': {
      await beginWrite(exchange);
      const digest = checkDigest(url.searchParams.get('digest') ?? '');
      await state.uploads.append(repository, id, request, rangeOf(exchange));
      await finish(exchange, repository, id, digest);
      return;
    }
    case 'DELETE':
      await beginWrite(exchange);
      await state.uploads.cancel(repository, id);
      sendEmpty(exchange, 204);
      return;
    default:
      throw wrongMethod(exchange, 'GET, PATCH, PUT, DELETE');
  }
}

async function finish(exchange: Exchange, repository: string, id: string, digest: Digest): Promise<void> {
  await exchange.state.uploads.finish(repository, id, digest);
  sendEmpty(exchange, 201, { location: `/v2/${repository}/blobs/${digest}`, 'docker-content-digest': digest });
}

function sendUpload(exchange: Exchange, status: number, repository: string, id: string, written: number): void {
  sendEmpty(exchange, status, {
    location: `/v2/${repository}/blobs/uploads/${id}`,
    range: uploadRange(written),
    'docker-upload-uuid': id,
  });
}

function rangeOf({ request }: Exchange): ReturnType<typeof parseContentRange> {
  const header = request.headers['content-range'];
  // An empty last PUT may carry a range that means nothing.
  if (header === undefined || request.headers['content-length'] === '0') return undefined;
  const range = parseContentRange(header);
  if (range === undefined || range.end < range.start) {
    throw new HttpError(400, 'BLOB_UPLOAD_INVALID', `Content-Range ${JSON.stringify(header)} is not START-END`);
  }
  return range;
}

import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from 'node:http';
import { type ErrorCode, SlipwayError } from '../../base/errors.js';

/** distribution-spec, "Error Codes". */
export type RegistryCode =
  | 'BLOB_UNKNOWN'
  | 'BLOB_UPLOAD_INVALID'
  | 'BLOB_UPLOAD_UNKNOWN'
  | 'DENIED'
  | 'DIGEST_INVALID'
  | 'MANIFEST_BLOB_UNKNOWN'
  | 'MANIFEST_INVALID'
  | 'MANIFEST_UNKNOWN'
  | 'NAME_INVALID'
  | 'NAME_UNKNOWN'
  | 'SIZE_INVALID'
  | 'TOOMANYREQUESTS'
  | 'UNAUTHORIZED'
  | 'UNSUPPORTED'
  | 'UNKNOWN';

/** An answer that is an error. */
export class HttpError extends Error {
  constructor(
    readonly status: number,
    readonly code: RegistryCode,
    message: string,
    readonly headers: Readonly<Record<string, string>> = {},
  ) {
    super(message);
  }
}

const OWN_ERRORS: Partial<Record<ErrorCode, readonly [number, RegistryCode]>> = {
  E_DIGEST_MISMATCH: [400, 'DIGEST_INVALID'],
  E_INVALID_DIGEST: [400, 'DIGEST_INVALID'],
  E_SIZE_MISMATCH: [400, 'SIZE_INVALID'],
  E_INVALID_MANIFEST: [400, 'MANIFEST_INVALID'],
  E_INVALID_REFERENCE: [400, 'NAME_INVALID'],
  E_NOT_FOUND: [404, 'BLOB_UNKNOWN'],
  E_NO_SPACE: [507, 'UNKNOWN'],
};

/** What a failure of ours is to a client; undefined for one that is nobody's business but the log's. */
export function toHttpError(error: unknown): HttpError | undefined {
  if (error instanceof HttpError) return error;
  if (!(error instanceof SlipwayError)) return undefined;
  const known = OWN_ERRORS[error.code];
  return known && new HttpError(known[0], known[1], error.message);
}

/** Sends distribution-spec's error document. */
export function sendError(
  request: IncomingMessage,
  response: ServerResponse,
  { status, code, message, headers }: HttpError,
): void {
  const body = JSON.stringify({ errors: [{ code, message }] });
  writeHead(request, response, status, {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(body),
    ...headers,
  });
  response.end(request.method === 'HEAD' ? undefined : body);
}

/**
 * Begins an answer. It is the last of its connection when the body of the request has not been read: that may have no end. What of it comes until
 * then is read and dropped, for an unread body would break the connection before the client has read the answer.
 */
export function writeHead(
  request: IncomingMessage,
  response: ServerResponse,
  status: number,
  headers: OutgoingHttpHeaders,
): void {
  const { 'transfer-encoding': encoding, 'content-length': length = '0' } = request.headers;
  if (!request.complete && (encoding !== undefined || length !== '0')) {
    response.shouldKeepAlive = false;
    request.resume();
  }
  response.writeHead(status, headers);
}

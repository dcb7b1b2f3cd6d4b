import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Store } from '../../store/store.js';
import { HttpError, writeHead } from './http-error.js';
import type { PushLease } from './lease.js';
import type { NamedContent } from './named-content.js';
import type { Removed } from './removed.js';
import type { Uploads } from './uploads.js';

/** What the endpoints of a server share. */
export interface ServerState {
  readonly store: Store;
  readonly uploads: Uploads;
  readonly lease: PushLease;
  readonly named: NamedContent;
  readonly removed: Removed;
  readonly readOnly: boolean;
}

/** One request and its answer. */
export interface Exchange {
  readonly state: ServerState;
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly url: URL;
  /** Who asks; see {@link clientOf}. */
  readonly client: string;
  /** The server's own addresses as names of the store may begin with. */
  readonly hosts: readonly string[];
}

export function isHead({ request }: Exchange): boolean {
  return request.method === 'HEAD';
}

/** Answers with a status and headers alone. */
export function sendEmpty(
  { request, response }: Exchange,
  status: number,
  headers: Readonly<Record<string, string>> = {},
): void {
  writeHead(
    request,
    response,
    status,
    status === 204 || status === 304 ? headers : { 'content-length': '0', ...headers },
  );
  response.end();
}

/** Answers with bytes; HEAD gets the head alone. */
export function sendBytes(
  exchange: Exchange,
  bytes: Uint8Array | string,
  contentType: string,
  headers: Readonly<Record<string, string>> = {},
): void {
  writeHead(exchange.request, exchange.response, 200, {
    'content-type': contentType,
    'content-length': Buffer.byteLength(bytes),
    ...headers,
  });
  exchange.response.end(isHead(exchange) ? undefined : bytes);
}

export function sendJson(exchange: Exchange, value: unknown, headers: Readonly<Record<string, string>> = {}): void {
  sendBytes(exchange, JSON.stringify(value), 'application/json', headers);
}

/** @throws HttpError 405 */
export function wrongMethod({ request }: Exchange, allowed: string): HttpError {
  return new HttpError(405, 'UNSUPPORTED', `${request.method} is not possible here`, { allow: allowed });
}

/** Runs what changes something. @throws HttpError 405 on a read-only server. */
export async function writing({ state, client }: Exchange, work: () => Promise<void>): Promise<void> {
  if (state.readOnly) throw new HttpError(405, 'UNSUPPORTED', 'this registry is read-only');
  await state.lease.during(work, client);
}

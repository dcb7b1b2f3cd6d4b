import http, { type IncomingMessage, type OutgoingHttpHeaders, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { onTestFinished } from 'vitest';

/** A request as the proxy sees it. */
export interface SeenRequest {
  readonly method: string;
  /** Path and query. */
  readonly path: string;
  readonly headers: http.IncomingHttpHeaders;
  /** How many requests with this method and path (without query) came before it. */
  readonly before: number;
  /** When it came, in milliseconds. */
  readonly at: number;
}

/** What the proxy does instead of passing a request and its answer on unchanged. */
export interface Fault {
  /** Answer this; the registry is not asked. */
  readonly respond?: {
    readonly status: number;
    readonly headers?: OutgoingHttpHeaders;
    readonly body?: string | Buffer;
  };
  /** Write this to the connection as it is, HTTP or not; the registry is not asked. The function ends the connection, or leaves it open. */
  readonly raw?: (socket: Socket) => void;
  /** Break the connection after this many bytes of the request's body have been passed on. */
  readonly cutRequestAfter?: number;
  /** Break the connection after this many bytes of the answer's body. */
  readonly cutAnswerAfter?: number;
  /** Let the registry answer, and break the connection instead of passing the answer on. */
  readonly loseAnswer?: boolean;
  /** Headers of the answer: replaced, or taken out where undefined. */
  readonly headers?: (headers: http.IncomingHttpHeaders) => Record<string, string | undefined>;
  /** Changes the whole body of the answer; its length is said anew unless `headers` says it. */
  readonly body?: (body: Buffer) => Buffer;
  /** Headers of the request to take out. */
  readonly hide?: readonly string[];
  /** Pass the answer on in pieces of this many bytes, one at each turn of the clock. */
  readonly drip?: number;
  /** Take the request's body at this many bytes a millisecond. */
  readonly sip?: number;
}

export interface FaultProxy {
  readonly address: string;
  readonly requests: SeenRequest[];
  /** The requests of a method whose path matches. */
  seen(method: string, path: RegExp): readonly SeenRequest[];
}

/** A proxy before the registry at `upstream` that misbehaves as `fault` says. Ended with the test. */
export async function faultProxy(
  upstream: string,
  fault: (request: SeenRequest) => Fault | undefined,
): Promise<FaultProxy> {
  const requests: SeenRequest[] = [];
  const server = http.createServer((request, response) => {
    const [method = '', path = ''] = [request.method, request.url];
    const plain = (text: string): string => text.replace(/\?.*/, '');
    const before = requests.filter(
      (earlier) => earlier.method === method && plain(earlier.path) === plain(path),
    ).length;
    const seen: SeenRequest = { method, path, headers: request.headers, before, at: Date.now() };
    requests.push(seen);
    handle(upstream, request, response, fault(seen) ?? {}).catch(() => response.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(
    () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  );
  return {
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    seen: (method, path) => requests.filter((request) => request.method === method && path.test(request.path)),
  };
}

async function handle(
  upstream: string,
  request: IncomingMessage,
  response: ServerResponse,
  fault: Fault,
): Promise<void> {
  if (fault.raw !== undefined) {
    fault.raw(request.socket);
    return;
  }
  if (fault.respond !== undefined) {
    request.resume();
    const { status, headers = {}, body = '' } = fault.respond;
    response.writeHead(status, { 'content-length': Buffer.byteLength(body), ...headers });
    response.end(request.method === 'HEAD' ? undefined : body);
    return;
  }
  const answer = await forward(upstream, request, fault);
  if (fault.loseAnswer) {
    answer.resume();
    response.destroy();
    return;
  }
  const head: Record<string, string | string[] | undefined> = { ...answer.headers };
  let body: Buffer | undefined;
  if (fault.body !== undefined) {
    const pieces: Buffer[] = [];
    for await (const piece of answer) pieces.push(piece as Buffer);
    body = fault.body(Buffer.concat(pieces));
    head['content-length'] = String(body.byteLength);
  }
  Object.assign(head, fault.headers?.(answer.headers));
  for (const [name, value] of Object.entries(head)) if (value === undefined) delete head[name];
  response.writeHead(answer.statusCode ?? 502, head as OutgoingHttpHeaders);
  let passed = 0;
  for await (const chunk of body === undefined ? (answer as AsyncIterable<Buffer>) : [body]) {
    const limit = fault.cutAnswerAfter ?? Number.POSITIVE_INFINITY;
    const piece = chunk.subarray(0, Math.max(0, limit - passed));
    passed += piece.byteLength;
    for (let at = 0; at < piece.byteLength && !response.destroyed; at += fault.drip ?? piece.byteLength) {
      response.write(piece.subarray(at, at + (fault.drip ?? piece.byteLength)));
      if (fault.drip !== undefined) await new Promise((resolve) => setTimeout(resolve, 1));
    }
    if (passed >= limit) {
      await new Promise((resolve) => response.write('', resolve));
      response.destroy();
      return;
    }
  }
  response.end();
}

function forward(upstream: string, request: IncomingMessage, fault: Fault): Promise<IncomingMessage> {
  const [host, port] = upstream.split(':');
  const headers = { ...request.headers };
  for (const name of fault.hide ?? []) delete headers[name];
  return new Promise((resolve, reject) => {
    const onward = http.request({ host, port, method: request.method, path: request.url, headers }, resolve);
    onward.on('error', reject);
    let passed = 0;
    request.on('data', (chunk: Buffer) => {
      if (fault.sip !== undefined) {
        request.pause();
        setTimeout(() => request.resume(), chunk.byteLength / fault.sip);
      }
      const limit = fault.cutRequestAfter ?? Number.POSITIVE_INFINITY;
      if (passed >= limit) return;
      const piece = chunk.subarray(0, limit - passed);
      passed += piece.byteLength;
      onward.write(piece, () => {
        if (passed < limit) return;
        onward.destroy();
        request.destroy();
      });
    });
    request.on('end', () => onward.end());
    request.on('error', (error) => onward.destroy(error));
  });
}

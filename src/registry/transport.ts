import { Readable } from 'node:stream';
import tls from 'node:tls';
import type { Dispatcher, buildConnector as UndiciConnector } from 'undici';
import { SlipwayError } from '../base/errors.js';
import { type Reporter, silentReporter } from '../base/reporter.js';
import { VERSION } from '../base/version.js';
import { apiHost, isLoopback, isThisMachine, portOf } from './host.js';
import { failureKind } from './network-failure.js';
import { appliesTo, type RegistryOptions } from './options.js';
import { tlsContext } from './tls.js';
import { Agent, buildConnector, EnvHttpProxyAgent } from './undici.js';

const CONNECT_TIMEOUT = 10_000;
const IDLE_TIMEOUT = 60_000;
/** A registry may hash and move a whole blob before it answers the request that ends its upload. */
const COMMIT_PATIENCE = 5;
const MOST_REDIRECTS = 10;
/** Bytes of an unwanted body that are read rather than closing the connection. */
const DISCARDED = 64 * 1024;
/** To find out whether a loopback registry speaks TLS. */
const PROBE_TIMEOUT = 2_000;

export type Method = 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';

/** Bytes to send: held in memory, or streamed from a source that can be opened again when the request must be repeated. */
export type RequestBody = Uint8Array | { readonly length: number; open(): AsyncIterable<Uint8Array> };

export interface HttpRequest {
  readonly method: Method;
  readonly url: URL;
  readonly headers?: Readonly<Record<string, string>>;
  /** Sent to the origin of `url` only, never to where it redirects. */
  readonly authorization?: string | undefined;
  readonly body?: RequestBody | undefined;
  /** The body is a secret, like `authorization`: a redirect to another origin is an error. */
  readonly secretBody?: boolean;
  readonly signal?: AbortSignal | undefined;
}

export interface HttpResponse {
  readonly status: number;
  /** Lower-case names; a repeated header is a list. */
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  /** Must be read to its end, destroyed, or given to {@link discard}. */
  readonly body: Readable;
  /** Where the answer came from, after redirects. */
  readonly url: URL;
}

/** The one value of a header; the first of several. */
export function headerOf({ headers }: Pick<HttpResponse, 'headers'>, name: string): string | undefined {
  const value = headers[name];
  return Array.isArray(value) ? value[0] : value;
}

/** Gives up an answer. A short rest is read, so that the connection can be used again. */
export function discard({ body }: Pick<HttpResponse, 'body'>): void {
  let left = DISCARDED;
  body.on('data', (chunk: Uint8Array) => {
    left -= chunk.byteLength;
    if (left < 0) body.destroy();
  });
}

/**
 * Sends single HTTP requests: connections, TLS, proxies, timeouts and redirects. Neither repeats nor authorises; a broken exchange
 * is thrown as it comes (see network-failure.ts).
 */
export class Transport {
  readonly #options: RegistryOptions;
  readonly #env: NodeJS.ProcessEnv;
  readonly #reporter: Reporter;
  readonly #dispatchers = new Map<string, Promise<Dispatcher>>();
  readonly #origins = new Map<string, Promise<URL>>();

  constructor(options: RegistryOptions) {
    this.#options = options;
    this.#env = options.env ?? process.env;
    this.#reporter = options.reporter ?? silentReporter;
  }

  /**
   * Scheme and address of a registry's API. http when the options say so; https everywhere else, except that a loopback registry
   * is asked which of the two it speaks. The handshake of that question carries no credentials, and a certificate that is not
   * trusted counts as https: it never leads to http.
   * @param host `name[:port]` as in image names, `docker.io` for Docker Hub.
   */
  origin(host: string): Promise<URL> {
    let origin = this.#origins.get(host);
    if (origin === undefined) {
      origin = this.#findOrigin(host);
      this.#origins.set(host, origin);
    }
    return origin;
  }

  async #findOrigin(host: string): Promise<URL> {
    const api = apiHost(host);
    if (appliesTo(this.#options.plainHttp, host)) return new URL(`http://${api}/`);
    const plain = isLoopback(api) && !(await speaksTls(api));
    return new URL(`${plain ? 'http' : 'https'}://${api}/`);
  }

  /** Sends one request, and follows redirects without the Authorization once they lead to another origin. */
  async send(request: HttpRequest): Promise<HttpResponse> {
    let { url, method, body, authorization } = request;
    for (let hops = 0; ; hops++) {
      const response = await this.#exchange({ ...request, url, method, body, authorization });
      const target = redirectTarget(response, method);
      if (target === undefined) return response;
      discard(response);
      if (hops === MOST_REDIRECTS) {
        throw new SlipwayError(
          'E_REGISTRY',
          `${request.url.host}: more than ${MOST_REDIRECTS} redirects, the last to ${target.host}`,
          {
            hint: 'the registry or a proxy before it redirects in a circle',
          },
        );
      }
      this.#checkDowngrade(url, target);
      if (target.origin !== request.url.origin) {
        if (request.secretBody === true) throw leavesWithSecret(request.url, target);
        authorization = undefined;
      }
      if (response.status === 303 && method !== 'HEAD') {
        method = 'GET';
        body = undefined;
      }
      url = target;
    }
  }

  /** Closes the connections. Idle ones do not keep a process alive: calling this is optional. */
  async close(): Promise<void> {
    const open = [...this.#dispatchers.values()];
    this.#dispatchers.clear();
    await Promise.allSettled(open.map(async (dispatcher) => (await dispatcher).destroy()));
  }

  async #exchange({ method, url, headers, authorization, body, signal }: HttpRequest): Promise<HttpResponse> {
    signal?.throwIfAborted();
    const dispatcher = await this.#dispatcher(url);
    const idle = this.#options.timeouts?.idle ?? IDLE_TIMEOUT;
    const reading = method === 'GET' || method === 'HEAD';
    const source = body === undefined || body instanceof Uint8Array ? undefined : new Source(body.open());
    const stream = source && Readable.from(source, { objectMode: false });
    stream?.on('error', () => {}); // reported by the request, or nobody waits for it any more
    try {
      const response = await dispatcher.request({
        origin: url.origin,
        path: `${url.pathname}${url.search}`,
        method,
        headers: {
          'user-agent': `slipway/${VERSION}`,
          // Content is named by the digest of its bytes: nothing on the way may pack it.
          'accept-encoding': 'identity',
          ...headers,
          ...(authorization === undefined ? {} : { authorization }),
          ...(body === undefined
            ? reading
              ? {}
              : { 'content-length': '0' }
            : { 'content-length': String(body.length) }),
        },
        body: stream ?? (body instanceof Uint8Array ? body : null),
        bodyTimeout: idle,
        headersTimeout: reading ? idle : idle * COMMIT_PATIENCE,
        ...(signal === undefined ? {} : { signal }),
      });
      // Whoever reads the body gets its error; whoever gives it up must not fall over one.
      response.body.on('error', () => {});
      return { status: response.statusCode, headers: response.headers, body: response.body, url };
    } catch (error) {
      stream?.destroy();
      signal?.throwIfAborted();
      throw source?.failure ?? error;
    }
  }

  #dispatcher(url: URL): Promise<Dispatcher> {
    let dispatcher = this.#dispatchers.get(url.origin);
    if (dispatcher === undefined) {
      dispatcher = this.#connectTo(url);
      this.#dispatchers.set(url.origin, dispatcher);
    }
    return dispatcher;
  }

  async #connectTo({ host, protocol }: URL): Promise<Dispatcher> {
    const { timeouts, certDir, insecureSkipVerify } = this.#options;
    const connect: Record<string, unknown> & { timeout: number } = { timeout: timeouts?.connect ?? CONNECT_TIMEOUT };
    if (protocol === 'https:') {
      connect.secureContext = await tlsContext(host, { certDir, env: this.#env });
      if (appliesTo(insecureSkipVerify, host)) {
        this.#reporter.warn(`the certificate of ${host} is not verified (--insecure-skip-verify)`);
        connect.rejectUnauthorized = false;
      }
    }
    const proxies = isLoopback(host) ? undefined : proxiesOf(this.#env);
    return proxies === undefined
      ? new Agent({ connect: connectorOf(connect) })
      : new EnvHttpProxyAgent({ connect, requestTls: connect, ...proxies });
  }

  #checkDowngrade(from: URL, to: URL): void {
    // A registry elsewhere has no business with what only this machine can reach.
    if (isThisMachine(to.host) && !isThisMachine(from.host)) {
      throw new SlipwayError('E_REGISTRY', `${from.host}: refused to follow a redirect to this machine, ${to.host}`);
    }
    if (to.protocol === 'https:') return;
    const allowed =
      to.protocol === 'http:' &&
      (from.protocol === 'http:' || isLoopback(to.host) || appliesTo(this.#options.plainHttp, to.host));
    if (allowed) return;
    throw new SlipwayError(
      'E_REGISTRY',
      `${from.host}: refused to follow a redirect from ${from.protocol.slice(0, -1)} to ${to.protocol}//${to.host}`,
      {
        hint:
          to.protocol === 'http:'
            ? 'what travels over plain http can be read and changed by anybody between; mend the registry, or name the host with --plain-http'
            : 'only http and https are followed',
      },
    );
  }
}

/**
 * Connects as undici does. What a registry says against our certificate comes after the handshake, with the end of the connection right behind
 * it: undici would only tell of the end.
 */
function connectorOf(options: UndiciConnector.BuildOptions): UndiciConnector.connector {
  const connect = buildConnector(options);
  return (target, done) =>
    connect(target, (...result) => {
      const [, socket] = result;
      socket?.once('error', (error) => {
        if (failureKind(error) === 'tls') socket.destroy(error);
      });
      done(...result);
    });
}

/**
 * Content on its way out. A source that fails is our fault, not the network's: it must not be taken for a broken connection and sent
 * again.
 */
class Source implements AsyncIterable<Uint8Array> {
  failure: SourceFailure | undefined;
  readonly #content: AsyncIterable<Uint8Array>;

  constructor(content: AsyncIterable<Uint8Array>) {
    this.#content = content;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array, void, void> {
    const iterator = this.#content[Symbol.asyncIterator]();
    try {
      for (;;) {
        const next = await this.#read(iterator);
        if (next.done === true) return;
        yield next.value;
      }
    } finally {
      await iterator.return?.();
    }
  }

  async #read(iterator: AsyncIterator<Uint8Array>): Promise<IteratorResult<Uint8Array>> {
    try {
      return await iterator.next();
    } catch (error) {
      this.failure = new SourceFailure(error);
      throw error;
    }
  }
}

/** The content to be uploaded could not be read: wraps the reader's own error. */
export class SourceFailure extends Error {
  constructor(readonly error: unknown) {
    super('the content to upload could not be read', { cause: error });
  }
}

function leavesWithSecret(from: URL, to: URL): SlipwayError {
  return new SlipwayError('E_UNAUTHORIZED', `${from.host}: refused to follow a redirect to ${to.host} with a secret`, {
    hint: 'a token server must answer itself when it is given an identity token',
  });
}

function redirectTarget(response: HttpResponse, method: Method): URL | undefined {
  const { status } = response;
  const follows =
    status === 307 ||
    status === 308 ||
    ((status === 301 || status === 302 || status === 303) && (method === 'GET' || method === 'HEAD'));
  if (!follows) return undefined;
  const location = headerOf(response, 'location');
  if (location === undefined || !URL.canParse(location, response.url.href)) return undefined;
  return new URL(location, response.url);
}

function proxiesOf(env: NodeJS.ProcessEnv): { httpProxy: string; httpsProxy: string; noProxy: string } | undefined {
  const httpProxy = env.http_proxy ?? env.HTTP_PROXY ?? '';
  const httpsProxy = env.https_proxy ?? env.HTTPS_PROXY ?? '';
  if (httpProxy === '' && httpsProxy === '') return undefined;
  return { httpProxy, httpsProxy, noProxy: env.no_proxy ?? env.NO_PROXY ?? '' };
}

/** Whether TLS answers at a loopback address. Without a port 443 is tried: when nobody is there, http on 80 is meant. */
function speaksTls(host: string): Promise<boolean> {
  const name = new URL(`http://${host}`).hostname.replace(/^\[(.*)\]$/, '$1');
  return new Promise((resolve) => {
    const socket = tls.connect({ host: name, port: portOf(host) ?? 443, rejectUnauthorized: false });
    const settle = (answer: boolean): void => {
      socket.destroy();
      resolve(answer);
    };
    socket.setTimeout(PROBE_TIMEOUT, () => settle(false));
    socket.once('secureConnect', () => settle(true));
    socket.on('error', (error) => settle(failureKind(error) === 'tls'));
    socket.once('close', () => settle(false));
  });
}

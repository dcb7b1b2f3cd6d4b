import { X509Certificate } from 'node:crypto';
import http, {
  type IncomingHttpHeaders,
  type IncomingMessage,
  type RequestListener,
  type ServerResponse,
} from 'node:http';
import https from 'node:https';
import type { AddressInfo } from 'node:net';
import { errnoOf, isSlipwayError, messageOf, SlipwayError } from '../../base/errors.js';
import { type Reporter, silentReporter } from '../../base/reporter.js';
import type { Store } from '../../store/store.js';
import { isLoopback } from '../host.js';
import { Htpasswd } from './access.js';
import { continueUpload, serveBlob, startUpload } from './blob-endpoints.js';
import { clientOf } from './client-address.js';
import { type Exchange, type ServerState, sendJson, wrongMethod } from './exchange.js';
import { HttpError, sendError, toHttpError } from './http-error.js';
import { PushLease } from './lease.js';
import { serveCatalog, serveTags } from './list-endpoints.js';
import { serveManifest, serveReferrers } from './manifest-endpoints.js';
import { NamedContent } from './named-content.js';
import { type OwnNames, refuseOtherNames } from './own-names.js';
import { Removed } from './removed.js';
import { parseRoute } from './route.js';
import { Running } from './running.js';
import { readTls, type TlsFiles, type TlsMaterial, watchTls } from './tls-files.js';
import { type UploadLimits, Uploads } from './uploads.js';

/** Milliseconds in which a connection must show some life; transfers as such may take as long as they like. */
const IDLE_TIMEOUT = 120_000;
/** Milliseconds in which the head of a request must have come. */
const HEAD_TIMEOUT = 60_000;
/** Milliseconds for which a connection without a request is kept: longer than clients and proxies keep theirs, who then never meet one that ends. */
const KEEP_ALIVE = 75_000;
/** How often renewed certificates are looked for. */
const TLS_LOOK = 30_000;

export interface ServerOptions {
  readonly store: Store;
  /** `host:port`; port 0 takes a free one. Default `127.0.0.1:5000`. */
  readonly listen?: string | undefined;
  /** Refuse everything that would change the store. */
  readonly readOnly?: boolean | undefined;
  /** An Apache password file with bcrypt hashes: who is not in it gets nothing. */
  readonly htpasswd?: string | undefined;
  /** Read again when they change. */
  readonly tls?: TlsFiles | undefined;
  /** Names by which a server at a loopback address may be asked, beside its address, `localhost` and those of its certificate. */
  readonly names?: readonly string[] | undefined;
  readonly reporter?: Reporter | undefined;
  readonly limits?: ServerLimits;
}

/** Milliseconds and numbers that are seldom changed. */
export interface ServerLimits extends UploadLimits {
  /** In which the head of a request must have come; default a minute. */
  readonly head?: number;
  /** In which a connection must show some life; default two minutes. */
  readonly idle?: number;
  /** How often renewed certificates are looked for; default half a minute. */
  readonly tlsLook?: number;
}

export interface RegistryServer {
  /** `host:port` as in image names. */
  readonly address: string;
  /** Requests that are being answered. */
  busy(): number;
  /**
   * Stops listening, and drops unfinished uploads.
   * @param grace milliseconds for which requests that are being answered may go on; default 0.
   */
  close(grace?: number): Promise<void>;
}

/**
 * Serves a store as a registry: distribution-spec pull, push, content discovery and content management.
 * @throws SlipwayError E_USAGE for an address, password file or certificate that cannot be used.
 */
export async function startServer(options: ServerOptions): Promise<RegistryServer> {
  const { store, readOnly = false, reporter = silentReporter, limits = {}, tls } = options;
  const { host, port } = parseListen(options.listen ?? '127.0.0.1:5000');
  const access = options.htpasswd === undefined ? undefined : await Htpasswd.open(options.htpasswd);
  const state: ServerState = {
    store,
    uploads: new Uploads(store, limits),
    lease: new PushLease(store),
    named: new NamedContent(store),
    removed: new Removed(),
    readOnly,
  };
  const material = tls === undefined ? undefined : await readTls(tls);
  const own = {
    address: '',
    names: [...(options.names ?? []), ...(host === undefined ? [] : [host])],
    certificate: material && new X509Certificate(material.cert),
  };
  const running = new Running();
  const listener: RequestListener = (request, response) => {
    running.add(response);
    answer(state, access, own, request, response, reporter).catch((error: unknown) => {
      reporter.debug(`${request.method} ${request.url}: ${messageOf(error)}`);
      response.destroy();
    });
  };
  const http1 = {
    requestTimeout: 0, // a layer may take hours
    headersTimeout: limits.head ?? HEAD_TIMEOUT,
    connectionsCheckingInterval: Math.min(limits.head ?? HEAD_TIMEOUT, 30_000),
    keepAliveTimeout: KEEP_ALIVE,
  };
  const server =
    material === undefined
      ? http.createServer(http1, listener)
      : https.createServer({ ...http1, ...material }, listener);
  server.setTimeout(limits.idle ?? IDLE_TIMEOUT);
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) => reject(listenError(error, options.listen ?? '')));
    server.listen(port, host, resolve);
  });
  const address = formatAddress(server.address() as AddressInfo);
  own.address = address;
  if (!isLoopback(address) && (access === undefined || options.tls === undefined)) {
    const missing = [
      access === undefined ? '--htpasswd' : '',
      options.tls === undefined ? '--tls-cert and --tls-key' : '',
    ];
    reporter.warn(
      `the registry at ${address} can be reached from elsewhere without ${missing.filter((text) => text !== '').join(' and ')}`,
    );
  }
  const use = (renewed: TlsMaterial): void => {
    (server as https.Server).setSecureContext(renewed);
    own.certificate = new X509Certificate(renewed.cert);
  };
  const stopLooking = tls === undefined ? undefined : renewTls(tls, use, limits, reporter);
  return {
    address,
    busy: () => running.count,
    async close(grace = 0) {
      stopLooking?.();
      const closed = new Promise((resolve) => server.close(resolve));
      await running.end(grace);
      server.closeAllConnections();
      await closed;
      await state.uploads.close();
      state.lease.end();
    },
  };
}

function renewTls(
  files: TlsFiles,
  use: (renewed: TlsMaterial) => void,
  { tlsLook = TLS_LOOK }: ServerLimits,
  reporter: Reporter,
): () => void {
  return watchTls(files, tlsLook, (renewed) => {
    if (isSlipwayError(renewed)) reporter.warn(`${renewed.message}; the old ones are used on`);
    else use(renewed);
  });
}

async function answer(
  state: ServerState,
  access: Htpasswd | undefined,
  own: OwnNames,
  request: IncomingMessage,
  response: ServerResponse,
  reporter: Reporter,
): Promise<void> {
  const { address } = own;
  const client = clientOf(request);
  response.setHeader('docker-distribution-api-version', 'registry/2.0');
  response.setHeader('x-content-type-options', 'nosniff');
  response.once('finish', () => reporter.debug(`${request.method} ${request.url} ${response.statusCode}`));
  try {
    refuseBrowsers(request.headers, address, access !== undefined);
    refuseOtherNames(request.headers.host, own);
    await access?.check(request.headers.authorization, client);
    if (!URL.canParse(request.url ?? '', 'http://registry'))
      throw new HttpError(400, 'NAME_INVALID', 'the path cannot be read');
    const url = new URL(request.url ?? '', 'http://registry');
    const hosts = [address, request.headers.host ?? address];
    await dispatch({ state, request, response, url, client, hosts });
  } catch (error) {
    // A client that went away is nobody's failure.
    if (response.destroyed || (request.destroyed && !request.complete)) return;
    const known = toHttpError(error);
    if (known === undefined) reporter.warn(`${request.method} ${request.url}: ${messageOf(error)}`);
    if (response.headersSent) {
      response.destroy();
      return;
    }
    sendError(
      request,
      response,
      known ?? new HttpError(500, 'UNKNOWN', 'internal error; the log of the registry says more'),
    );
  }
}

/**
 * A page that a browser on this machine shows must not change anything in a registry: neither from its own place, nor by a name that its author
 * lets stand for a loopback address. No client of registries sends an Origin.
 */
function refuseBrowsers({ host = '', origin }: IncomingHttpHeaders, address: string, guarded: boolean): void {
  if (origin === undefined) return;
  const from = URL.canParse(origin) ? new URL(origin).host : '';
  if (from === host && (guarded || !isLoopback(address) || isLoopback(from))) return;
  throw new HttpError(403, 'DENIED', `requests of ${origin} are not answered`);
}

async function dispatch(exchange: Exchange): Promise<void> {
  const route = parseRoute(exchange.url.pathname);
  switch (route.kind) {
    case 'base':
      if (exchange.request.method !== 'GET' && exchange.request.method !== 'HEAD') throw wrongMethod(exchange, 'GET');
      return sendJson(exchange, {});
    case 'catalog':
      return serveCatalog(exchange);
    case 'tags':
      return serveTags(exchange, route.repository);
    case 'referrers':
      if (exchange.request.method !== 'GET') throw wrongMethod(exchange, 'GET');
      return serveReferrers(exchange, route.repository, route.digest);
    case 'manifest':
      return serveManifest(exchange, route.repository, route.reference);
    case 'blob':
      return serveBlob(exchange, route.repository, route.digest);
    case 'uploads':
      return startUpload(exchange, route.repository);
    case 'upload':
      return continueUpload(exchange, route.repository, route.id);
  }
}

/** @throws SlipwayError E_USAGE */
function parseListen(text: string): { readonly host: string | undefined; readonly port: number } {
  const match = /^(?:\[([0-9a-fA-F:]+)\]|([^:\s]*)):(\d{1,5})$/.exec(text);
  const port = Number(match?.[3] ?? Number.NaN);
  if (match === null || port > 65535) {
    throw new SlipwayError('E_USAGE', `cannot listen on ${JSON.stringify(text)}`, {
      hint: 'write host:port, for example 127.0.0.1:5000',
    });
  }
  return { host: match[1] ?? (match[2] === '' ? undefined : match[2]), port };
}

function formatAddress({ address, port, family }: AddressInfo): string {
  return family === 'IPv6' ? `[${address}]:${port}` : `${address}:${port}`;
}

function listenError(error: Error, listen: string): SlipwayError {
  const [why, hint] = LISTEN_ERRORS[errnoOf(error) ?? ''] ?? [error.message, undefined];
  return new SlipwayError('E_USAGE', `cannot listen on ${listen}: ${why}`, {
    ...(hint === undefined ? {} : { hint }),
    cause: error,
  });
}

const LISTEN_ERRORS: Readonly<Record<string, readonly [why: string, hint: string]>> = {
  EADDRINUSE: ['the port is in use', 'stop the other program, or choose another port with --listen'],
  EACCES: ['not allowed', 'ports below 1024 are for root: choose another one with --listen'],
  EADDRNOTAVAIL: ['this machine does not have that address', 'listen on 0.0.0.0 for all of its addresses'],
  ENOTFOUND: ['the name cannot be resolved', 'listen on an address of this machine'],
};

import { readFile } from 'node:fs/promises';
import http, { type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http';
import https from 'node:https';
import type { AddressInfo } from 'node:net';
import { errnoOf, messageOf, SlipwayError } from '../../base/errors.js';
import { type Reporter, silentReporter } from '../../base/reporter.js';
import type { Store } from '../../store/store.js';
import { isLoopback } from '../host.js';
import { Htpasswd } from './access.js';
import { continueUpload, serveBlob, startUpload } from './blob-endpoints.js';
import { type Exchange, type ServerState, sendJson, wrongMethod } from './exchange.js';
import { HttpError, sendError, toHttpError } from './http-error.js';
import { PushLease } from './lease.js';
import { serveCatalog, serveTags } from './list-endpoints.js';
import { serveManifest, serveReferrers } from './manifest-endpoints.js';
import { parseRoute } from './route.js';
import { Uploads } from './uploads.js';

/** Milliseconds in which a connection must show some life; transfers as such may take as long as they like. */
const IDLE_TIMEOUT = 120_000;

export interface ServerOptions {
  readonly store: Store;
  /** `host:port`; port 0 takes a free one. Default `127.0.0.1:5000`. */
  readonly listen?: string | undefined;
  /** Refuse everything that would change the store. */
  readonly readOnly?: boolean | undefined;
  /** An Apache password file with bcrypt hashes: who is not in it gets nothing. */
  readonly htpasswd?: string | undefined;
  /** PEM files: the certificate with its chain, and the key. */
  readonly tls?: { readonly cert: string; readonly key: string } | undefined;
  readonly reporter?: Reporter | undefined;
}

export interface RegistryServer {
  /** `host:port` as in image names. */
  readonly address: string;
  /** Stops listening, breaks connections, drops unfinished uploads. */
  close(): Promise<void>;
}

/**
 * Serves a store as a registry: distribution-spec pull, push, content discovery and content management.
 * @throws SlipwayError E_USAGE for an address, password file or certificate that cannot be used.
 */
export async function startServer(options: ServerOptions): Promise<RegistryServer> {
  const { store, readOnly = false, reporter = silentReporter } = options;
  const { host, port } = parseListen(options.listen ?? '127.0.0.1:5000');
  const access = options.htpasswd === undefined ? undefined : await Htpasswd.open(options.htpasswd);
  const state: ServerState = { store, uploads: new Uploads(store), lease: new PushLease(store), readOnly };
  let address = '';
  const listener: RequestListener = (request, response) => {
    answer(state, access, address, request, response, reporter).catch((error: unknown) => {
      reporter.debug(`${request.method} ${request.url}: ${messageOf(error)}`);
      response.destroy();
    });
  };
  const server = options.tls === undefined ? http.createServer(listener) : await tlsServer(options.tls, listener);
  server.requestTimeout = 0; // a layer may take hours
  server.setTimeout(IDLE_TIMEOUT);
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) => reject(listenError(error, options.listen ?? '')));
    server.listen(port, host, resolve);
  });
  address = formatAddress(server.address() as AddressInfo);
  if (!isLoopback(address) && (access === undefined || options.tls === undefined)) {
    const missing = [
      access === undefined ? '--htpasswd' : '',
      options.tls === undefined ? '--tls-cert and --tls-key' : '',
    ];
    reporter.warn(
      `the registry at ${address} can be reached from elsewhere without ${missing.filter((text) => text !== '').join(' and ')}`,
    );
  }
  return {
    address,
    async close() {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
      await state.uploads.close();
      state.lease.end();
    },
  };
}

async function answer(
  state: ServerState,
  access: Htpasswd | undefined,
  address: string,
  request: IncomingMessage,
  response: ServerResponse,
  reporter: Reporter,
): Promise<void> {
  response.setHeader('docker-distribution-api-version', 'registry/2.0');
  response.setHeader('x-content-type-options', 'nosniff');
  response.once('finish', () => reporter.debug(`${request.method} ${request.url} ${response.statusCode}`));
  try {
    await access?.check(request.headers.authorization);
    if (!URL.canParse(request.url ?? '', 'http://registry'))
      throw new HttpError(400, 'NAME_INVALID', 'the path cannot be read');
    const url = new URL(request.url ?? '', 'http://registry');
    const hosts = [address, request.headers.host ?? address];
    await dispatch({ state, request, response, url, hosts });
  } catch (error) {
    // A client that went away is nobody's failure.
    if (response.destroyed || (request.destroyed && !request.complete)) return;
    const known = toHttpError(error);
    if (known === undefined) reporter.warn(`${request.method} ${request.url}: ${messageOf(error)}`);
    if (response.headersSent) {
      response.destroy();
      return;
    }
    if (!request.complete) {
      response.setHeader('connection', 'close');
      request.resume(); // what is still coming is read and dropped: an unread body would break the connection before the answer is read
    }
    sendError(
      response,
      known ?? new HttpError(500, 'UNKNOWN', 'internal error; the log of the registry says more'),
      request.method !== 'HEAD',
    );
  }
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
      return serveBlob(exchange, route.digest);
    case 'uploads':
      return startUpload(exchange, route.repository);
    case 'upload':
      return continueUpload(exchange, route.repository, route.id);
  }
}

async function tlsServer(
  files: { readonly cert: string; readonly key: string },
  listener: RequestListener,
): Promise<https.Server> {
  try {
    const [cert, key] = await Promise.all([readFile(files.cert), readFile(files.key)]);
    return https.createServer({ cert, key }, listener);
  } catch (cause) {
    throw new SlipwayError('E_USAGE', `cannot serve TLS with ${files.cert} and ${files.key}: ${messageOf(cause)}`, {
      cause,
    });
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
  const inUse = errnoOf(error) === 'EADDRINUSE';
  return new SlipwayError('E_USAGE', `cannot listen on ${listen}: ${inUse ? 'the port is in use' : error.message}`, {
    ...(inUse ? { hint: 'stop the other program, or choose another port with --listen' } : {}),
    cause: error,
  });
}

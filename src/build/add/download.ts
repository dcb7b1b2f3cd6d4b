import { createHash } from 'node:crypto';
import { open, rm } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { errnoOf, fileSystemError, messageOf, SlipwayError } from '../../base/errors.js';
import type { Reporter } from '../../base/reporter.js';
import { type Digest, sha256Digest } from '../../image/digest.js';
import { failureKind, isPassing } from '../../registry/network-failure.js';
import type { RegistryOptions } from '../../registry/options.js';
import { discard, type HttpResponse, headerOf, Transport } from '../../registry/transport.js';
import type { UrlSource } from './url-source.js';

const ATTEMPTS = 3;
const FIRST_WAIT = 500;

/** What a server said of a content, so that it can be asked whether it is still the same (RFC 9110, 13). */
export interface Validators {
  readonly etag?: string;
  readonly lastModified?: string;
}

export interface Downloaded {
  readonly digest: Digest;
  /** Bytes. */
  readonly size: number;
  /** Seconds, from Last-Modified; undefined when the server does not say. */
  readonly modified: number | undefined;
  readonly validators: Validators;
}

export interface DownloadOptions {
  /** A file that is made, for the caller to remove. */
  readonly file: string;
  /** Of an earlier download of the same URL: the server may answer that nothing has changed. */
  readonly unless?: Validators;
  readonly registry: RegistryOptions;
  readonly reporter: Reporter;
  readonly signal: AbortSignal;
}

/**
 * Downloads a URL into a file and hashes it on the way. Redirects are followed, never from https to http, and without the credentials once they
 * leave the server. What breaks off is begun again, three times in all.
 * @returns undefined when the content is still what `unless` says.
 * @throws SlipwayError E_NOT_FOUND (404), E_UNAUTHORIZED (401, 403), E_DOWNLOAD for anything else, E_NO_SPACE. The URL is shown without
 * credentials and query.
 */
export async function download(source: UrlSource, options: DownloadOptions): Promise<Downloaded | undefined> {
  const { signal, registry } = options;
  const transport = new Transport(registry);
  try {
    for (let attempt = 1; ; attempt++) {
      try {
        return await attemptDownload(transport, source, options);
      } catch (error) {
        signal.throwIfAborted();
        if (error instanceof SlipwayError && error.code !== 'E_REGISTRY') throw error;
        if (error instanceof SlipwayError || attempt === ATTEMPTS || !isPassing(error, false))
          throw failed(source, error);
        await rm(options.file, { force: true });
        await sleep((registry.retryDelay ?? FIRST_WAIT) * 2 ** (attempt - 1), undefined, { signal });
      }
    }
  } finally {
    await transport.close();
  }
}

async function attemptDownload(
  transport: Transport,
  source: UrlSource,
  { file, unless, reporter, signal }: DownloadOptions,
): Promise<Downloaded | undefined> {
  const response = await transport.send({
    method: 'GET',
    url: source.url,
    headers: {
      'accept-encoding': 'identity',
      ...(unless?.etag === undefined ? {} : { 'if-none-match': unless.etag }),
      ...(unless?.lastModified === undefined ? {} : { 'if-modified-since': unless.lastModified }),
    },
    authorization: source.authorization,
    signal,
  });
  if (response.status === 304 && unless !== undefined) {
    discard(response);
    return undefined;
  }
  if (response.status !== 200) {
    discard(response);
    throw refused(source, response);
  }
  const { digest, size } = await save(response, file, source, reporter);
  const etag = headerOf(response, 'etag');
  const lastModified = headerOf(response, 'last-modified');
  const time = Date.parse(lastModified ?? '');
  return {
    digest,
    size,
    modified: Number.isNaN(time) || time < 0 ? undefined : Math.floor(time / 1000),
    validators: { ...(etag === undefined ? {} : { etag }), ...(lastModified === undefined ? {} : { lastModified }) },
  };
}

async function save(
  response: HttpResponse,
  file: string,
  { shown }: UrlSource,
  reporter: Reporter,
): Promise<{ digest: Digest; size: number }> {
  const length = Number(headerOf(response, 'content-length'));
  const task = reporter.task(shown, Number.isSafeInteger(length) && length > 0 ? length : undefined);
  const hash = createHash('sha256');
  let size = 0;
  try {
    const out = await open(file, 'wx', 0o600);
    try {
      for await (const piece of response.body) {
        const bytes = piece as Buffer;
        hash.update(bytes);
        size += bytes.length;
        for (let at = 0; at < bytes.length; ) at += (await out.write(bytes, at)).bytesWritten;
        task.advance(bytes.length);
      }
    } finally {
      await out.close();
    }
    task.done();
  } catch (error) {
    task.fail();
    response.body.destroy();
    throw fileSystemError(error, `downloading ${shown}`);
  }
  return { digest: sha256Digest(hash.digest('hex')), size };
}

function refused({ shown }: UrlSource, { status, url }: HttpResponse): SlipwayError {
  const from = url.origin === new URL(shown).origin ? '' : ` (redirected to ${url.host})`;
  const what = `downloading ${shown}: the server answered ${status}${from}`;
  if (status === 404 || status === 410)
    return new SlipwayError('E_NOT_FOUND', what, { hint: 'nothing is there: check the URL' });
  if (status === 401 || status === 403)
    return new SlipwayError('E_UNAUTHORIZED', what, {
      hint: 'credentials may be part of the URL: https://user:password@host/…; give them with --build-arg rather than in the file',
    });
  return new SlipwayError('E_DOWNLOAD', what, { hint: 'try again later, or check the URL' });
}

const WHY = {
  connect: 'nobody answers at that address',
  name: 'the host name cannot be resolved',
  tls: 'no trusted TLS connection',
  plain: 'the server does not speak TLS',
  broken: 'the connection broke',
  silent: 'the server stopped answering',
  garbled: 'what answers does not speak HTTP as it should',
  other: 'the exchange failed',
} as const;

function failed({ shown }: UrlSource, error: unknown): SlipwayError {
  const redirect = error instanceof SlipwayError ? error.message : undefined;
  const code = errnoOf(error);
  const why = redirect ?? `${WHY[failureKind(error)]}${code === undefined ? ` (${messageOf(error)})` : ` (${code})`}`;
  return new SlipwayError('E_DOWNLOAD', `downloading ${shown}: ${why}`, {
    hint: 'check the URL and the network; with --checksum, what was downloaded once needs no network again',
    cause: error,
  });
}

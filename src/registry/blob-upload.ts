import { isSlipwayError, SlipwayError } from '../base/errors.js';
import type { Descriptor } from '../image/oci.js';
import { isThisMachine } from './host.js';
import { RegistryError } from './registry-error.js';
import { TRIES, wait } from './retry.js';
import { repositoryScope, type Scope } from './scope.js';
import type { RegistryAnswer, RegistryRequest, Session } from './session.js';
import { headerOf } from './transport.js';

const DEFAULT_CHUNK = 64 * 1024 * 1024;
/** Blobs up to this size go in one PUT; a broken one is begun again. */
const WHOLE_LIMIT = 8 * 1024 * 1024;
const ANSWER_LIMIT = 64 * 1024;
/** Answers to the first piece that mean: this registry takes no pieces. */
const NO_PIECES = [400, 404, 405, 411, 413, 415, 416, 501];

export interface UploadOptions {
  /** Bytes of one piece; default 64 MiB, raised to what the registry demands. */
  readonly chunkSize?: number | undefined;
  /** `bytes` more have been sent; negative when some must be sent again. */
  readonly onProgress?: (bytes: number) => void;
  readonly signal?: AbortSignal | undefined;
}

/** A blob to upload. */
export interface UploadContent {
  readonly descriptor: Pick<Descriptor, 'digest' | 'size'>;
  /** The bytes from `start` on, up to but without `end`; opened again when something must be repeated. */
  open(start: number, end: number): AsyncIterable<Uint8Array>;
}

/** Where an upload goes on: the registry may change it with every answer, and only the newest counts. */
interface UploadSession {
  readonly location: URL;
  /** OCI-Chunk-Min-Length. */
  readonly minimum: number;
}

/** The registry has lost the upload, or its state is unclear: begin again. */
class Lost extends Error {}

/**
 * Uploads the blobs of one repository; distribution-spec, "Pushing blobs": in one piece when small, else in pieces that are continued where
 * a broken connection left them. The registry verifies the digest with the request that ends an upload: nothing is visible before.
 */
export class BlobUpload {
  readonly #session: Session;
  readonly #repository: string;
  readonly #scopes: readonly Scope[];

  constructor(session: Session, repository: string) {
    this.#session = session;
    this.#repository = repository;
    this.#scopes = [repositoryScope(repository, 'pull', 'push')];
  }

  /** Whether the repository has the blob. */
  async has({ digest }: Pick<Descriptor, 'digest'>, signal?: AbortSignal): Promise<boolean> {
    const { status } = await this.#session.answer(
      {
        method: 'HEAD',
        target: `/v2/${this.#repository}/blobs/${digest}`,
        what: `looking for blob ${digest} in ${this.#repository}`,
        scopes: this.#scopes,
        expect: [200, 404],
        signal,
      },
      0,
    );
    return status === 200;
  }

  /**
   * Lets the registry take the blob from another of its repositories. A registry that cannot, or may not, is no failure.
   * @returns true when the blob is there now.
   */
  async mount({ digest }: Pick<Descriptor, 'digest'>, from: string, signal?: AbortSignal): Promise<boolean> {
    try {
      const answer = await this.#session.answer(
        {
          method: 'POST',
          target: `/v2/${this.#repository}/blobs/uploads/?mount=${encodeURIComponent(digest)}&from=${encodeURIComponent(from)}`,
          what: `mounting blob ${digest} from ${from} to ${this.#repository}`,
          scopes: [...this.#scopes, repositoryScope(from, 'pull')],
          expect: [201, 202],
          signal,
        },
        ANSWER_LIMIT,
      );
      if (answer.status === 201) return true;
      await this.#cancel(this.#next(answer));
      return false;
    } catch (error) {
      this.#session.signal(signal)?.throwIfAborted();
      if (!isSlipwayError(error)) throw error;
      this.#session.debug(`${error.message}; uploading instead`);
      return false;
    }
  }

  /**
   * Uploads a blob.
   * @throws SlipwayError E_DIGEST_MISMATCH when the registry computed another digest, E_UNAUTHORIZED, E_REGISTRY_UNREACHABLE …
   */
  async upload(content: UploadContent, given: UploadOptions = {}): Promise<void> {
    const options = { ...given, signal: this.#session.signal(given.signal) };
    const { size, digest } = content.descriptor;
    const sent = new Sent(options.onProgress);
    let inPieces = size > WHOLE_LIMIT || (options.chunkSize !== undefined && size > options.chunkSize);
    for (let round = 0; ; round++) {
      try {
        // The request that ends an upload may have succeeded although its answer was lost.
        if (round > 0 && (await this.has(content.descriptor, options.signal))) return sent.is(size);
        const upload = await this.#begin(digest, options.signal);
        if (inPieces) await this.#sendPieces(upload, content, sent, options);
        else await this.#sendWhole(upload, content, sent, options);
        return sent.is(size);
      } catch (error) {
        options.signal?.throwIfAborted();
        const refused = error instanceof RegistryError && NO_PIECES.includes(error.status);
        if (inPieces && refused && sent.position === 0) {
          this.#session.debug(`${error.message}; sending the blob in one piece`);
          inPieces = false;
          continue;
        }
        if (round + 1 >= TRIES || !(error instanceof Lost || this.#session.isPassing(error))) {
          throw asLost(error, this.#session);
        }
        this.#session.debug(`upload of ${digest}: ${error instanceof Error ? error.message : error}; beginning again`);
        sent.is(0);
        await wait(this.#session.pause(round, error), options.signal);
      }
    }
  }

  async #begin(digest: string, signal: AbortSignal | undefined): Promise<UploadSession> {
    const answer = await this.#session.answer(
      {
        method: 'POST',
        target: `/v2/${this.#repository}/blobs/uploads/`,
        what: `starting the upload of blob ${digest} to ${this.#repository}`,
        scopes: this.#scopes,
        expect: [202],
        signal,
      },
      ANSWER_LIMIT,
    );
    return { location: this.#next(answer), minimum: Number(headerOf(answer, 'oci-chunk-min-length') ?? 0) || 0 };
  }

  async #sendWhole(
    { location }: UploadSession,
    content: UploadContent,
    sent: Sent,
    { signal }: UploadOptions,
  ): Promise<void> {
    const { digest, size } = content.descriptor;
    await this.#send({
      method: 'PUT',
      target: withDigest(location, digest),
      what: `uploading blob ${digest} to ${this.#repository}`,
      headers: { 'content-type': 'application/octet-stream' },
      body: { length: size, open: () => sent.count(content.open(0, size), 0) },
      expect: [201, 204],
      signal,
    });
  }

  async #sendPieces(
    { location: first, minimum }: UploadSession,
    content: UploadContent,
    sent: Sent,
    { chunkSize = DEFAULT_CHUNK, signal }: UploadOptions,
  ): Promise<void> {
    const { digest, size } = content.descriptor;
    const piece = Math.max(chunkSize, minimum);
    const what = `uploading blob ${digest} to ${this.#repository}`;
    let location = first;
    let offset = 0;
    let failures = 0;
    let continued = false;
    while (offset < size) {
      const start = offset;
      const end = Math.min(start + piece, size);
      try {
        const answer = await this.#send({
          method: 'PATCH',
          target: location,
          what,
          headers: { 'content-type': 'application/octet-stream', 'content-range': `${start}-${end - 1}` },
          body: { length: end - start, open: () => sent.count(content.open(start, end), start) },
          expect: [201, 202, 204],
          signal,
        });
        location = this.#next(answer, location);
        offset = received(answer) ?? end;
        if (offset <= start || offset > end)
          throw new Lost(`the registry says it has ${offset} bytes after byte ${end}`);
        failures = 0;
      } catch (error) {
        signal?.throwIfAborted();
        const misplaced = error instanceof RegistryError && error.status === 416;
        if (start === 0 && misplaced) throw error;
        // docker's registry may still be tidying up after the break when it says how much has arrived, and then knows nothing of it.
        if (continued && error instanceof RegistryError && error.status === 404) throw new Lost(error.message);
        if (!misplaced && !this.#session.isPassing(error)) throw error;
        failures++;
        if (failures >= TRIES) throw error;
        this.#session.debug(`${error instanceof Error ? error.message : error}; asking how much has arrived`);
        await wait(this.#session.pause(failures - 1, error), signal);
        const status = await this.#send({
          method: 'GET',
          target: location,
          what: `asking for the state of the upload of ${digest}`,
          expect: [200, 202, 204, 404, 416],
          repeat: true,
          signal,
        });
        // "0-0" may mean no byte or one; beginning again costs nothing. docker's registry answers 404 or 416 here when it has taken a
        // part of a piece: its Location carries the offset it expects.
        const have = status.status >= 400 ? undefined : received(status);
        if (have === undefined || have <= 1 || have > size) throw new Lost('the registry has lost the upload');
        location = this.#next(status, location);
        offset = have;
        continued = true;
      }
      sent.is(offset);
    }
    try {
      await this.#send({
        method: 'PUT',
        target: withDigest(location, digest),
        what: `finishing the upload of blob ${digest} to ${this.#repository}`,
        expect: [201, 204],
        signal,
      });
    } catch (error) {
      // What was pieced together may be torn at the joint; content sent in one go is wrong for good.
      if (continued && isSlipwayError(error, 'E_DIGEST_MISMATCH', 'E_SIZE_MISMATCH')) throw new Lost(error.message);
      throw error;
    }
  }

  #send(request: Omit<RegistryRequest, 'scopes'>): Promise<RegistryAnswer> {
    return this.#session.answer({ repeat: false, ...request, scopes: this.#scopes }, ANSWER_LIMIT);
  }

  async #cancel(location: URL): Promise<void> {
    const expect = [200, 202, 204, 404, 405];
    // Only a courtesy: a registry drops uploads that nobody finishes.
    await this.#send({ method: 'DELETE', target: location, what: 'cancelling an upload', expect }).catch(() => {});
  }

  /**
   * The Location of an answer: absolute or relative to the URL that was asked. One that differs from it only in being http is taken for
   * https: a registry behind a proxy that ends TLS often does not know its own scheme.
   */
  #next(answer: RegistryAnswer, current?: URL): URL {
    const text = headerOf(answer, 'location');
    if (text === undefined && current !== undefined) return current;
    if (text === undefined || !URL.canParse(text, answer.url.href)) {
      throw new SlipwayError('E_REGISTRY', `${this.#session.host}: the registry does not say where to upload to`);
    }
    const location = new URL(text, answer.url);
    if (isThisMachine(location.host) && !isThisMachine(answer.url.host)) {
      throw new SlipwayError(
        'E_REGISTRY',
        `${this.#session.host}: refused to upload to this machine, ${location.host}`,
      );
    }
    if (location.protocol === 'http:' && answer.url.protocol === 'https:') {
      if (location.hostname !== answer.url.hostname) {
        throw new SlipwayError(
          'E_REGISTRY',
          `${this.#session.host}: refused to upload over plain http to ${location.host}`,
        );
      }
      location.protocol = 'https:';
      location.port = answer.url.port;
    }
    return location;
  }
}

/** Tells progress as the distance to a position, so that what is sent twice counts once. */
class Sent {
  position = 0;
  readonly #onProgress: ((bytes: number) => void) | undefined;
  #told = 0;

  constructor(onProgress: ((bytes: number) => void) | undefined) {
    this.#onProgress = onProgress;
  }

  is(position: number): void {
    this.position = position;
    this.#tell(position);
  }

  async *count(content: AsyncIterable<Uint8Array>, start: number): AsyncGenerator<Uint8Array, void, void> {
    let at = start;
    for await (const chunk of content) {
      at += chunk.byteLength;
      this.#tell(at);
      yield chunk;
    }
  }

  #tell(at: number): void {
    if (at !== this.#told) this.#onProgress?.(at - this.#told);
    this.#told = at;
  }
}

/** Bytes that the registry has, from `Range: 0-LAST` (some write `bytes=0-LAST`). */
function received(answer: RegistryAnswer): number | undefined {
  const match = /^(?:bytes=)?0-(\d+)$/.exec(headerOf(answer, 'range') ?? '');
  return match === null ? undefined : Number(match[1]) + 1;
}

/** Appends to the query as text: parsing and printing it again could change what the registry has signed. */
function withDigest(location: URL, digest: string): URL {
  const url = new URL(location);
  url.search = `${location.search === '' ? '?' : `${location.search}&`}digest=${encodeURIComponent(digest)}`;
  return url;
}

function asLost(error: unknown, { host }: Session): unknown {
  return error instanceof Lost
    ? new SlipwayError('E_REGISTRY', `${host}: uploading failed again and again: ${error.message}`)
    : error;
}

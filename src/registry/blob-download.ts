import { createHash } from 'node:crypto';
import { SlipwayError } from '../base/errors.js';
import { algorithmOf, hexOf } from '../image/digest.js';
import type { Descriptor } from '../image/oci.js';
import { networkError } from './network-failure.js';
import { TRIES, wait } from './retry.js';
import { repositoryScope } from './scope.js';
import type { Session } from './session.js';
import { type HttpResponse, headerOf } from './transport.js';

export interface DownloadOptions {
  /** Begin at this byte; default 0. */
  readonly start?: number;
  /** Stop before this byte; default the size of the blob. */
  readonly end?: number;
  /** Compare the digest at the end (default, where the whole blob is read). A caller that hashes by itself sets false. */
  readonly verify?: boolean;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Streams a blob of a registry. A connection that breaks is continued where it broke, with a Range request; five breaks without a byte
 * between them give up. Size and digest are verified: the last chunk is followed by an error when they are not what the descriptor says,
 * so nothing may be relied on before the stream has ended well.
 * @throws SlipwayError E_SIZE_MISMATCH, E_DIGEST_MISMATCH, E_NOT_FOUND, E_REGISTRY_UNREACHABLE …
 */
export async function* downloadBlob(
  session: Session,
  repository: string,
  descriptor: Pick<Descriptor, 'digest' | 'size'>,
  { start = 0, end, verify = true, signal: given }: DownloadOptions = {},
): AsyncGenerator<Uint8Array, void, void> {
  const { digest, size } = descriptor;
  const signal = session.signal(given);
  const stop = end ?? size;
  const hash = verify && start === 0 && stop === size ? createHash(algorithmOf(digest)) : undefined;
  const what = `fetching blob ${digest} of ${repository}`;
  let position = start;
  for (let failures = 0; position < stop; ) {
    const before = position;
    try {
      for await (const chunk of await openAt(session, repository, descriptor, position, stop, what, signal)) {
        const left = stop - position;
        if (chunk.byteLength > left && stop === size) throw sizeMismatch(session.host, what, `more than ${size}`, size);
        const piece = chunk.byteLength > left ? chunk.subarray(0, left) : chunk;
        position += piece.byteLength;
        hash?.update(piece);
        yield piece;
        if (position === stop && stop < size) break;
      }
      // A body without a length that ends early looks like one that is complete.
      if (position < stop && position === before) throw sizeMismatch(session.host, what, String(position), size);
    } catch (error) {
      signal?.throwIfAborted();
      if (error instanceof SlipwayError) throw error;
      failures = position > before ? 1 : failures + 1;
      const failure = networkError(session.host, what, error);
      if (failures >= TRIES || !session.isPassing(failure)) throw failure;
      session.debug(`${failure.message}; going on at byte ${position} of ${size}`);
      await wait(session.pause(failures - 1), signal);
    }
  }
  if (hash !== undefined && hash.digest('hex') !== hexOf(digest)) {
    throw new SlipwayError('E_DIGEST_MISMATCH', `${session.host}: ${what}: the content has another digest`, {
      hint: 'the content is damaged or was tampered with; nothing of it was kept',
      details: { expected: digest },
    });
  }
}

/** The body from `position` on (it may go beyond `stop`), whether or not the registry honours Range. */
async function openAt(
  session: Session,
  repository: string,
  { digest, size }: Pick<Descriptor, 'digest' | 'size'>,
  position: number,
  stop: number,
  what: string,
  signal: AbortSignal | undefined,
): Promise<AsyncIterable<Uint8Array>> {
  const whole = position === 0 && stop === size;
  const response = await session.stream({
    method: 'GET',
    target: `/v2/${repository}/blobs/${digest}`,
    what,
    scopes: [repositoryScope(repository, 'pull')],
    headers: whole ? {} : { range: `bytes=${position}-${stop - 1}` },
    expect: whole ? [200] : [200, 206],
    signal,
  });
  const partial = response.status === 206;
  const length = lengthOf(response);
  const part = partial ? /^bytes (\d+)-(\d+)\//.exec(headerOf(response, 'content-range') ?? '') : null;
  const begins = partial ? Number(part?.[1] ?? position) : 0;
  // A server may give less than was asked for (RFC 9110, 15.3.7): the rest is asked for again.
  const expected = partial ? Math.min(Number(part?.[2] ?? stop - 1) + 1, stop) - position : size;
  if ((length !== undefined && length !== expected) || (partial && begins !== position)) {
    response.body.destroy();
    throw sizeMismatch(
      session.host,
      what,
      String(length === undefined ? begins : length + (partial ? position : 0)),
      size,
    );
  }
  return partial || position === 0 ? response.body : skip(response.body, position);
}

async function* skip(body: AsyncIterable<Uint8Array>, count: number): AsyncGenerator<Uint8Array, void, void> {
  let left = count;
  for await (const chunk of body) {
    if (left >= chunk.byteLength) left -= chunk.byteLength;
    else {
      yield left === 0 ? chunk : chunk.subarray(left);
      left = 0;
    }
  }
}

function lengthOf(response: HttpResponse): number | undefined {
  const text = headerOf(response, 'content-length');
  return text === undefined ? undefined : Number(text);
}

function sizeMismatch(host: string, what: string, found: string, expected: number): SlipwayError {
  return new SlipwayError('E_SIZE_MISMATCH', `${host}: ${what}: it has ${found} bytes, ${expected} were expected`, {
    hint: 'the registry or something between gives other content than the manifest names',
    details: { expected },
  });
}

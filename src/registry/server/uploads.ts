import { randomUUID } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { SlipwayError } from '../../base/errors.js';
import type { Digest } from '../../image/digest.js';
import type { BlobIdentity, BlobWriter } from '../../store/blobs.js';
import type { Store } from '../../store/store.js';
import { HttpError } from './http-error.js';
import type { ByteRange } from './range.js';

/** Milliseconds after which an upload that nobody continues is dropped. */
const ABANDONED = 60 * 60 * 1000;
/** The same for one of which no byte has come: beginning it again costs nothing. */
const EMPTY = 5 * 60 * 1000;
const MOST_UPLOADS = 1000;
/** Milliseconds after which an upload that nobody continues is dropped when there are too many of them. */
const STALE = 60 * 1000;

export interface UploadLimits {
  /** Unfinished uploads at the same time; default 1000. */
  readonly most?: number;
  /** Milliseconds after which one that nobody continues makes room when there are as many; default a minute. */
  readonly stale?: number;
}

interface Upload {
  readonly repository: string;
  /** Who has begun it. */
  readonly client: string;
  /** Made with the first bytes: an upload that is only begun costs nothing. */
  writer: Promise<BlobWriter> | undefined;
  /** Bytes that have arrived. */
  written: number;
  /** When something was last done with it. */
  used: number;
  active: Writing | undefined;
  timer: NodeJS.Timeout | undefined;
}

/** The request that is writing now, and the end of its work. */
interface Writing {
  readonly request: IncomingMessage;
  readonly ended: Promise<void>;
}

/**
 * Blobs that clients are uploading, each in a temporary file of the store until its last request names the digest. They live as long
 * as the server; a client whose upload is gone begins again.
 */
export class Uploads {
  readonly #store: Store;
  readonly #most: number;
  readonly #stale: number;
  readonly #open = new Map<string, Upload>();

  constructor(store: Store, { most = MOST_UPLOADS, stale = STALE }: UploadLimits = {}) {
    this.#store = store;
    this.#most = most;
    this.#stale = stale;
  }

  /**
   * @param client who begins it; see {@link clientOf}.
   * @returns the id of a new upload.
   * @throws HttpError 429 when there are too many, and all are in use.
   */
  async begin(repository: string, client: string): Promise<string> {
    if (this.#open.size >= this.#most) await this.#makeRoom(client);
    const id = randomUUID();
    const upload: Upload = {
      repository,
      client,
      writer: undefined,
      written: 0,
      used: Date.now(),
      active: undefined,
      timer: undefined,
    };
    this.#open.set(id, upload);
    this.#keepAlive(id, upload);
    return id;
  }

  /** Bytes that have arrived. */
  written(repository: string, id: string): number {
    return this.#find(repository, id).written;
  }

  /**
   * Appends a request's body. A request that still writes is a connection that broke without our noticing: its client has come back.
   * What arrives of a body that breaks off is kept.
   * @param range where the client believes that the piece belongs.
   * @returns bytes that have arrived in all.
   * @throws HttpError 416 when the piece does not continue what is there.
   */
  async append(
    repository: string,
    id: string,
    request: IncomingMessage,
    range: ByteRange | undefined,
  ): Promise<number> {
    const upload = this.#find(repository, id);
    // Of several that come at once each ends the one before it. Nothing may be awaited from here to where this one is active.
    while (upload.active !== undefined) await stop(upload.active);
    this.#find(repository, id); // it may have ended meanwhile
    this.#keepAlive(id, upload);
    const start = upload.written;
    if (range !== undefined && range.start !== start) throw outOfOrder(repository, id, start);
    let end = (): void => {};
    upload.active = { request, ended: new Promise<void>((resolve) => (end = resolve)) };
    try {
      const writer = await this.#writerOf(upload);
      // An error of ours must still be answered: leaving the loop may not close the connection.
      for await (const chunk of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Uint8Array>) {
        if (range !== undefined && upload.written + chunk.byteLength > range.end + 1) {
          throw new HttpError(
            400,
            'SIZE_INVALID',
            `the piece is longer than its Content-Range ${range.start}-${range.end}`,
          );
        }
        await writer.write(chunk);
        upload.written = writer.written;
      }
    } catch (error) {
      if (error instanceof SlipwayError) this.#forget(id, upload); // the writer has given up: disk full
      throw error;
    } finally {
      upload.active = undefined;
      if (this.#open.get(id) === upload) this.#keepAlive(id, upload);
      end();
    }
    if (range !== undefined && upload.written - start !== range.end - range.start + 1) {
      throw outOfOrder(repository, id, upload.written);
    }
    return upload.written;
  }

  /** Verifies and stores the blob. The upload is over, whatever comes of it. @throws SlipwayError E_DIGEST_MISMATCH */
  async finish(repository: string, id: string, digest: Digest): Promise<BlobIdentity> {
    const upload = this.#find(repository, id);
    this.#forget(id, upload);
    if (upload.active !== undefined) await stop(upload.active);
    return (await this.#writerOf(upload)).commit({ digest });
  }

  /** Drops an upload. */
  async cancel(repository: string, id: string): Promise<void> {
    const upload = this.#find(repository, id);
    this.#forget(id, upload);
    if (upload.active !== undefined) await stop(upload.active);
    await (await upload.writer?.catch(() => undefined))?.abort();
  }

  /** Drops all. */
  async close(): Promise<void> {
    await Promise.all([...this.#open].map(([id, { repository }]) => this.cancel(repository, id)));
  }

  #find(repository: string, id: string): Upload {
    const upload = this.#open.get(id);
    if (upload === undefined || upload.repository !== repository) {
      throw new HttpError(
        404,
        'BLOB_UPLOAD_UNKNOWN',
        'no such upload: it has ended, or the server has been started anew',
      );
    }
    return upload;
  }

  async #writerOf(upload: Upload): Promise<BlobWriter> {
    upload.writer ??= this.#store.newBlob();
    return upload.writer;
  }

  /**
   * Drops the upload that is missed least: one of which nothing has come, one that nobody continues, or one of a client that has more of them
   * than this one; of each the oldest. So nobody shuts others out.
   * @throws HttpError 429
   */
  async #makeRoom(client: string): Promise<void> {
    const idle = [...this.#open]
      .filter(([, { active }]) => active === undefined)
      .sort(([, a], [, b]) => a.used - b.used);
    const before = Date.now() - this.#stale;
    const [id, upload] =
      idle.find(([, { written }]) => written === 0) ??
      idle.find(([, { used }]) => used <= before) ??
      this.#ofGreatest(idle, client) ??
      [];
    if (id === undefined || upload === undefined) {
      const message = 'too many uploads are under way; try again later';
      throw new HttpError(429, 'TOOMANYREQUESTS', message, { 'retry-after': '30' });
    }
    await this.cancel(upload.repository, id);
  }

  /** The first of the client that has most, when that is more than `client` would have. */
  #ofGreatest(idle: readonly (readonly [string, Upload])[], client: string): readonly [string, Upload] | undefined {
    const counts = new Map<string, number>();
    for (const upload of this.#open.values()) counts.set(upload.client, (counts.get(upload.client) ?? 0) + 1);
    const [greatest, most] = [...counts].reduce((a, b) => (b[1] > a[1] ? b : a), ['', 0] as const);
    if (most <= (counts.get(client) ?? 0) + 1) return undefined;
    return idle.find(([, upload]) => upload.client === greatest);
  }

  #keepAlive(id: string, upload: Upload): void {
    clearTimeout(upload.timer);
    upload.used = Date.now();
    const drop = (): void => {
      if (upload.active !== undefined) this.#keepAlive(id, upload);
      else this.cancel(upload.repository, id).catch(() => {});
    };
    upload.timer = setTimeout(drop, upload.written === 0 ? EMPTY : ABANDONED).unref();
  }

  #forget(id: string, upload: Upload): void {
    clearTimeout(upload.timer);
    this.#open.delete(id);
  }
}

/** Ends a request that is still writing, and waits until it has. */
async function stop({ request, ended }: Writing): Promise<void> {
  request.destroy();
  await ended;
}

/** `Range` of an answer about an upload; `0-0` also stands for nothing, as in docker's registry. */
export function uploadRange(written: number): string {
  return `0-${Math.max(0, written - 1)}`;
}

function outOfOrder(repository: string, id: string, written: number): HttpError {
  return new HttpError(
    416,
    'BLOB_UPLOAD_INVALID',
    `the piece does not continue the upload: ${written} bytes have arrived`,
    {
      location: `/v2/${repository}/blobs/uploads/${id}`,
      range: uploadRange(written),
    },
  );
}

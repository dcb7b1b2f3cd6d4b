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
const MOST_UPLOADS = 1000;

interface Upload {
  readonly repository: string;
  readonly writer: BlobWriter;
  /** The request that is writing now, and the end of its work. */
  active: { readonly request: IncomingMessage; readonly ended: Promise<void> } | undefined;
  timer: NodeJS.Timeout | undefined;
}

/**
 * Blobs that clients are uploading, each in a temporary file of the store until its last request names the digest. They live as long
 * as the server; a client whose upload is gone begins again.
 */
export class Uploads {
  readonly #store: Store;
  readonly #open = new Map<string, Upload>();

  constructor(store: Store) {
    this.#store = store;
  }

  /** @returns the id of a new upload. */
  async begin(repository: string): Promise<string> {
    if (this.#open.size >= MOST_UPLOADS) throw new HttpError(429, 'UNKNOWN', 'too many unfinished uploads');
    const id = randomUUID();
    const upload: Upload = { repository, writer: await this.#store.newBlob(), active: undefined, timer: undefined };
    this.#open.set(id, upload);
    this.#keepAlive(id, upload);
    return id;
  }

  /** Bytes that have arrived. */
  written(repository: string, id: string): number {
    return this.#find(repository, id).writer.written;
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
    const { writer } = upload;
    await stopWriting(upload);
    this.#keepAlive(id, upload);
    if (range !== undefined && range.start !== writer.written) throw outOfOrder(repository, id, writer.written);
    let end = (): void => {};
    upload.active = { request, ended: new Promise<void>((resolve) => (end = resolve)) };
    const start = writer.written;
    try {
      // An error of ours must still be answered: leaving the loop may not close the connection.
      for await (const chunk of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Uint8Array>) {
        if (range !== undefined && writer.written + chunk.byteLength > range.end + 1) {
          throw new HttpError(
            400,
            'SIZE_INVALID',
            `the piece is longer than its Content-Range ${range.start}-${range.end}`,
          );
        }
        await writer.write(chunk);
      }
    } catch (error) {
      if (error instanceof SlipwayError) this.#forget(id, upload); // the writer has given up: disk full
      throw error;
    } finally {
      upload.active = undefined;
      end();
    }
    if (range !== undefined && writer.written - start !== range.end - range.start + 1) {
      throw outOfOrder(repository, id, writer.written);
    }
    return writer.written;
  }

  /** Verifies and stores the blob. The upload is over, whatever comes of it. @throws SlipwayError E_DIGEST_MISMATCH */
  async finish(repository: string, id: string, digest: Digest): Promise<BlobIdentity> {
    const upload = this.#find(repository, id);
    this.#forget(id, upload);
    await stopWriting(upload);
    return upload.writer.commit({ digest });
  }

  /** Drops an upload. */
  async cancel(repository: string, id: string): Promise<void> {
    const upload = this.#find(repository, id);
    this.#forget(id, upload);
    await stopWriting(upload);
    await upload.writer.abort();
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

  #keepAlive(id: string, upload: Upload): void {
    clearTimeout(upload.timer);
    const drop = (): void => {
      if (upload.active !== undefined) this.#keepAlive(id, upload);
      else this.cancel(upload.repository, id).catch(() => {});
    };
    upload.timer = setTimeout(drop, ABANDONED).unref();
  }

  #forget(id: string, upload: Upload): void {
    clearTimeout(upload.timer);
    this.#open.delete(id);
  }
}

/** Ends a request that is still writing, and waits until it has. */
async function stopWriting({ active }: Upload): Promise<void> {
  active?.request.destroy();
  await active?.ended;
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

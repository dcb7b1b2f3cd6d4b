import { plainFileHeader, TAR_BLOCK, tarPadding, writeTarHeader } from '../../layers/tar-header.js';
import type { Output } from './output.js';

/** A place in a tar for a file of a known size. */
export interface ReservedMember {
  readonly path: string;
  readonly size: number;
  readonly at: number;
}

/** Bytes that are collected before they are written. */
const BUFFER = 1024 * 1024;

/**
 * The members of a tar that is being written. A place is reserved before the content comes: so the order of members does not depend on which content
 * comes first. On an output that is not seekable members must be written in the order in which they were reserved.
 */
export class TarMembersOut {
  readonly #output: Output;
  #end = 0;

  constructor(output: Output) {
    this.#output = output;
  }

  get seekable(): boolean {
    return this.#output.seekable;
  }

  reserve(path: string, size: number): ReservedMember {
    const at = this.#end;
    this.#end += TAR_BLOCK + size + tarPadding(size);
    return { path, size, at };
  }

  /** Writes a member. `content` gives exactly as many bytes as were reserved. */
  async write({ path, size, at }: ReservedMember, content: AsyncIterable<Uint8Array> | Uint8Array): Promise<void> {
    const writer = new Collected(this.#output, at);
    await writer.add(plainFileHeader(path, size));
    if (content instanceof Uint8Array) await writer.add(content);
    else for await (const piece of content) await writer.add(piece);
    await writer.add(Buffer.alloc(tarPadding(size)));
    await writer.flush();
  }

  async directory(path: string): Promise<void> {
    const block = Buffer.alloc(TAR_BLOCK);
    writeTarHeader(block, 0, { path, type: 'dir', mode: 0o755, uid: 0, gid: 0, size: 0, mtime: 0 }, 0);
    await this.#output.write(block, this.#end);
    this.#end += TAR_BLOCK;
  }

  async file(path: string, bytes: Uint8Array): Promise<void> {
    await this.write(this.reserve(path, bytes.byteLength), bytes);
  }

  /**
   * Writes a file whose name and size are only known when its content has come. Only on a seekable output, and only one at a time.
   * @param describe its name, or undefined when it is not wanted after all.
   */
  async unknown(content: AsyncIterable<Uint8Array>, describe: () => string | undefined): Promise<void> {
    const at = this.#end;
    const writer = new Collected(this.#output, at + TAR_BLOCK);
    let size = 0;
    for await (const piece of content) {
      size += piece.byteLength;
      await writer.add(piece);
    }
    await writer.add(Buffer.alloc(tarPadding(size)));
    await writer.flush();
    const path = describe();
    if (path === undefined) return; // the next member is written over it
    await this.#output.write(plainFileHeader(path, size), at);
    this.#end = at + TAR_BLOCK + size + tarPadding(size);
  }

  /** Ends the archive. */
  async end(): Promise<void> {
    await this.#output.write(Buffer.alloc(2 * TAR_BLOCK), this.#end);
    await this.#output.truncate(this.#end + 2 * TAR_BLOCK);
  }
}

/** Bytes on their way to one place of the output, in big pieces. */
class Collected {
  readonly #output: Output;
  #position: number;
  #pieces: Uint8Array[] = [];
  #size = 0;

  constructor(output: Output, position: number) {
    this.#output = output;
    this.#position = position;
  }

  async add(piece: Uint8Array): Promise<void> {
    this.#pieces.push(piece);
    this.#size += piece.byteLength;
    if (this.#size >= BUFFER) await this.flush();
  }

  async flush(): Promise<void> {
    const [first, second] = this.#pieces;
    if (first === undefined) return;
    const bytes = second === undefined ? first : Buffer.concat(this.#pieces, this.#size);
    this.#pieces = [];
    this.#size = 0;
    await this.#output.write(bytes, this.#position);
    this.#position += bytes.byteLength;
  }
}

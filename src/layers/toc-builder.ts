import { createHash, type Hash, hash } from 'node:crypto';
import { type Digest, sha256Digest } from '../image/digest.js';
import { isLocalXattr, isPossibleXattr, specialName } from './layer-names.js';
import { unsafeArchive } from './tar-limits.js';
import type { TarMember } from './tar-reader.js';
import type { LayerToc, TocEntry } from './toc.js';

/**
 * What a member of a layer's tar is: an entry, a whiteout or an opaque mark; undefined for AUFS's own files, which mean nothing.
 * Extended attributes that belong to one machine (overlayfs's, SELinux's) are left out: in a layer they could make overlayfs show other
 * directories. So are those that no file can have.
 *
 * @throws SlipwayError E_UNSAFE_ARCHIVE for a whiteout of `.`, `..` or nothing, and for the device 0/0, overlayfs's own whiteout.
 */
export function layerEntryOf(member: TarMember): Omit<TocEntry, 'digest'> | undefined {
  const special = specialName(member.path);
  if (special !== undefined) {
    if (special.type === 'ignored') return undefined;
    if (special.type === 'invalid') throw unsafeArchive(`${JSON.stringify(member.path)} is no valid whiteout`);
    const { mode, uid, gid, mtime, offset } = member;
    return { path: special.path, type: special.type, mode, uid, gid, size: 0, mtime, offset };
  }
  if (member.type === 'char' && member.devMajor === 0 && member.devMinor === 0) {
    throw unsafeArchive(`${JSON.stringify(member.path)} is the device 0/0`);
  }
  if (member.xattrs === undefined) return member;
  const { xattrs, ...rest } = member;
  const kept = Object.entries(xattrs).filter(([name]) => !isLocalXattr(name) && isPossibleXattr(name, member.type));
  return kept.length === 0 ? rest : { ...rest, xattrs: Object.fromEntries(kept) };
}

/** Collects a table of contents while a tar is read, hashing each file's content. */
export class TocBuilder {
  readonly #entries: TocEntry[] = [];
  #current: Omit<TocEntry, 'digest'> | undefined;
  #hash: Hash | undefined;
  #digest: Digest | undefined;

  begin(entry: Omit<TocEntry, 'digest'> | undefined): void {
    this.#current = entry;
    this.#hash = undefined;
    this.#digest = undefined;
  }

  /** Adds content of the entry. */
  content(piece: Buffer): void {
    if (this.#current?.type !== 'file') return;
    if (this.#hash === undefined && piece.length === this.#current.size) {
      this.#digest = sha256Digest(hash('sha256', piece, 'hex'));
      return;
    }
    this.#hash ??= createHash('sha256');
    this.#hash.update(piece);
  }

  end(): void {
    const entry = this.#current;
    if (entry === undefined) return;
    this.#current = undefined;
    if (entry.type !== 'file') {
      this.#entries.push(entry);
      return;
    }
    const digest = this.#digest ?? sha256Digest((this.#hash ?? createHash('sha256')).digest('hex'));
    this.#entries.push({ ...entry, digest });
  }

  finish(diffId: Digest, unpackedSize: number): LayerToc {
    return { diffId, unpackedSize, entries: this.#entries };
  }
}

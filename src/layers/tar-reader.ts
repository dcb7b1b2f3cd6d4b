import { SlipwayError } from '../base/errors.js';
import { pathFromBytes } from './path-bytes.js';
import { type PaxFields, readPaxRecords } from './pax-records.js';
import { badArchive, type RawHeader, readRawHeader } from './tar-fields.js';
import { TAR_BLOCK, tarPadding } from './tar-header.js';
import { checkLimit, DEFAULT_LIMITS, type TarLimits, unsafeArchive } from './tar-limits.js';
import type { EntryType } from './toc.js';

/** One member of a tar as it was written, with what extended headers said about it. */
export interface TarMember {
  /** Cleaned: relative, without `.`, empty components or slashes at either end; the root is `''`. */
  readonly path: string;
  readonly type: Exclude<EntryType, 'whiteout' | 'opaque'>;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  readonly mtime: number;
  /** symlink: as written. hardlink: cleaned like a path. */
  readonly linkTarget?: string;
  readonly xattrs?: Readonly<Record<string, string>>;
  readonly devMajor?: number;
  readonly devMinor?: number;
  /** Where the content begins in the tar. */
  readonly offset: number;
}

/** What is done with each member. A promise is awaited before the reading goes on; synchronous work costs no turn of the event loop. */
export interface TarHandler {
  member(member: TarMember): void | Promise<void>;
  /** A piece of the content of the last member, valid during the call only. */
  content?(piece: Buffer): void | Promise<void>;
  /** The member is complete. */
  end?(): void | Promise<void>;
}

/** The highest number that a user or group can have on Linux: one more means "leave it as it is" to chown(2). */
const MOST_OWNER = 0xfffffffe;

/** A file that some systems can lay out in one piece. */
const CONTIGUOUS = '7';
const TYPES: Readonly<Record<string, TarMember['type']>> = {
  '\0': 'file',
  '0': 'file',
  '7': 'file',
  '1': 'hardlink',
  '2': 'symlink',
  '3': 'char',
  '4': 'block',
  '5': 'dir',
  '6': 'fifo',
};

/** Extended headers, volume labels: members that describe others. */
type MetaKind = 'pax' | 'globalPax' | 'longName' | 'longLink' | 'ignored';
const META: Readonly<Record<string, MetaKind>> = {
  x: 'pax',
  X: 'pax',
  g: 'globalPax',
  L: 'longName',
  K: 'longLink',
  V: 'ignored',
};

type State = 'header' | 'meta' | 'content' | 'padding' | 'after';

/**
 * Reads a tar in constant memory: v7, ustar, GNU (long names, base-256 numbers) and pax, as GNU tar and Go's archive/tar do. The archive
 * ends with two blocks of zeros, with one at the very end, or where the stream ends between two members; what follows is read and
 * ignored, so that whoever hashes the stream sees all of it.
 *
 * @throws SlipwayError E_BAD_ARCHIVE when it is truncated or malformed; E_UNSAFE_ARCHIVE for a path with `..`, a root that is no directory
 * or a limit that is broken; E_UNSUPPORTED for sparse files and unknown members; whatever the handler or the stream throws.
 */
export async function readTar(
  stream: AsyncIterable<Buffer>,
  handler: TarHandler,
  limits: Partial<TarLimits> = {},
): Promise<void> {
  const reader = new TarReader(handler, { ...DEFAULT_LIMITS, ...limits });
  for await (const chunk of stream) await reader.push(chunk);
  reader.finish();
}

/** Bytes that are read at once to find headers; of large content no more is read. */
const SCAN_CHUNK = 64 * 1024;

/**
 * Finds the members of a tar that can be read at any place, without reading their content: see {@link readTar}, whose errors it has.
 * @param read the bytes from `offset` on: as many as `length`, or up to the end.
 * @param size of the whole tar.
 */
export async function scanTar(
  read: (offset: number, length: number) => Promise<Buffer>,
  size: number,
  onMember: (member: TarMember) => void,
  limits: Partial<TarLimits> = {},
): Promise<void> {
  const reader = new TarReader({ member: (member) => void onMember(member) }, { ...DEFAULT_LIMITS, ...limits });
  let at = 0;
  while (at < size && !reader.ended) {
    const chunk = await read(at, Math.min(SCAN_CHUNK, size - at));
    if (chunk.length === 0) throw badArchive(at, 'it has become shorter');
    await reader.push(chunk);
    at += chunk.length + reader.passOver();
  }
  if (at > size) throw badArchive(size, 'it ends in the middle of an entry');
  reader.finish();
}

class TarReader {
  readonly #handler: TarHandler;
  readonly #limits: TarLimits;
  readonly #partial = Buffer.alloc(TAR_BLOCK);
  #partialLength = 0;
  #state: State = 'header';
  /** Bytes that have been taken. */
  #offset = 0;
  /** Bytes of content or padding still to come. */
  #left = 0;
  #padding = 0;
  #entries = 0;
  #metadata = 0;
  #zeroBlocks = 0;
  #meta: { readonly kind: MetaKind; readonly pieces: Buffer[] } | undefined;
  #pax: PaxFields | undefined;
  #globalPax: PaxFields = {};
  #longName: string | undefined;
  #longLink: string | undefined;

  constructor(handler: TarHandler, limits: TarLimits) {
    this.#handler = handler;
    this.#limits = limits;
  }

  async push(chunk: Buffer): Promise<void> {
    checkLimit(this.#offset + chunk.length, this.#limits.totalBytes, 'it is too big');
    let at = 0;
    while (at < chunk.length) {
      switch (this.#state) {
        case 'header': {
          const block = this.#takeBlock(chunk, at);
          if (block === undefined) {
            at = chunk.length;
            break;
          }
          at += block.taken;
          this.#offset += block.taken;
          const done = this.#header(block.bytes);
          if (done !== undefined) await done;
          break;
        }
        case 'meta':
        case 'content': {
          const piece = chunk.subarray(at, at + Math.min(this.#left, chunk.length - at));
          at += piece.length;
          this.#offset += piece.length;
          this.#left -= piece.length;
          if (this.#state === 'meta') {
            if (this.#meta?.kind !== 'ignored') this.#meta?.pieces.push(Buffer.from(piece));
          } else {
            const done = this.#handler.content?.(piece);
            if (done !== undefined) await done;
          }
          if (this.#left === 0) {
            const done = this.#contentEnds();
            if (done !== undefined) await done;
          }
          break;
        }
        case 'padding': {
          const skipped = Math.min(this.#left, chunk.length - at);
          at += skipped;
          this.#offset += skipped;
          this.#left -= skipped;
          if (this.#left === 0) this.#state = 'header';
          break;
        }
        case 'after':
          this.#offset += chunk.length - at;
          at = chunk.length;
      }
    }
  }

  /** True once the end of the archive has been seen; what follows means nothing. */
  get ended(): boolean {
    return this.#state === 'after';
  }

  /** Leaves out the rest of the content that is being read. @returns its bytes, which must not be pushed. */
  passOver(): number {
    if (this.#state !== 'content') return 0;
    const passed = this.#left;
    checkLimit(this.#offset + passed, this.#limits.totalBytes, 'it is too big');
    this.#offset += passed;
    this.#left = 0;
    this.#beginPadding();
    return passed;
  }

  finish(): void {
    if (this.#state === 'meta' || this.#state === 'content' || this.#partialLength > 0) {
      throw badArchive(this.#offset, 'it ends in the middle of an entry');
    }
    // The padding of the last member may be missing: GNU tar and Go read such archives.
    if (this.#isDescribed()) throw badArchive(this.#offset, 'it ends after an extended header');
  }

  /** Extended headers have said something about the next member. */
  #isDescribed(): boolean {
    return this.#pax !== undefined || this.#longName !== undefined || this.#longLink !== undefined;
  }

  /** The next whole block, or undefined when the rest of the chunk is less and has been kept. */
  #takeBlock(chunk: Buffer, at: number): { readonly bytes: Buffer; readonly taken: number } | undefined {
    const available = chunk.length - at;
    if (this.#partialLength === 0 && available >= TAR_BLOCK) {
      return { bytes: chunk.subarray(at, at + TAR_BLOCK), taken: TAR_BLOCK };
    }
    const taken = Math.min(TAR_BLOCK - this.#partialLength, available);
    chunk.copy(this.#partial, this.#partialLength, at, at + taken);
    this.#partialLength += taken;
    if (this.#partialLength < TAR_BLOCK) {
      this.#offset += taken;
      return undefined;
    }
    this.#partialLength = 0;
    return { bytes: this.#partial, taken };
  }

  #header(block: Buffer): void | Promise<void> {
    const at = this.#offset - TAR_BLOCK;
    const raw = readRawHeader(block, at);
    if (raw === undefined) {
      this.#zeroBlocks++;
      if (this.#zeroBlocks === 2) this.#state = 'after';
      return;
    }
    if (this.#zeroBlocks === 1) throw badArchive(at, 'an entry follows after a block of zeros');
    const meta = META[raw.typeFlag];
    if (meta !== undefined) {
      this.#beginMeta(meta, raw, at);
      return;
    }
    this.#entries++;
    checkLimit(this.#entries, this.#limits.entries, 'it has too many entries', String(this.#limits.entries));
    const member = this.#member(raw, at);
    const started = this.#handler.member(member);
    if (started !== undefined) return started.then(() => this.#beginContent(member.size));
    return this.#beginContent(member.size);
  }

  #beginMeta(kind: MetaKind, { size, typeFlag }: RawHeader, at: number): void {
    if (size < 0) throw badArchive(at, 'an entry has a negative size');
    // To GNU tar it is the label's, to whoever leaves labels out the next member's.
    if (kind === 'ignored' && this.#isDescribed()) throw badArchive(at, 'an extended header describes a volume label');
    if (kind !== 'ignored') {
      const limit = kind === 'pax' || kind === 'globalPax' ? this.#limits.paxSize : this.#limits.pathLength + 1;
      checkLimit(size, limit, `the extended header (${typeFlag}) at byte ${at} is too big`);
    }
    this.#meta = { kind, pieces: [] };
    this.#left = size;
    this.#padding = tarPadding(size);
    this.#state = 'meta';
    if (size === 0) this.#metaEnds();
  }

  #beginContent(size: number): void | Promise<void> {
    this.#left = size;
    this.#padding = tarPadding(size);
    this.#state = 'content';
    if (size === 0) return this.#contentEnds();
  }

  #contentEnds(): void | Promise<void> {
    if (this.#meta !== undefined) return this.#metaEnds();
    this.#beginPadding();
    return this.#handler.end?.();
  }

  #beginPadding(): void {
    this.#left = this.#padding;
    this.#state = this.#padding === 0 ? 'header' : 'padding';
  }

  #metaEnds(): void {
    const { kind, pieces } = this.#meta ?? { kind: 'ignored', pieces: [] };
    this.#meta = undefined;
    const body = Buffer.concat(pieces);
    switch (kind) {
      case 'pax':
        this.#pax = readPaxRecords(body, this.#offset);
        break;
      case 'globalPax': {
        const fields = readPaxRecords(body, this.#offset);
        // One path or size for all that follows makes no sense; programs that ignore it would see other files than we do.
        if (fields.path !== undefined || fields.linkpath !== undefined || fields.size !== undefined) {
          throw unsafeArchive('a global pax header sets a path or a size');
        }
        this.#globalPax = { ...this.#globalPax, ...fields };
        break;
      }
      case 'longName':
        this.#longName = untilNul(body);
        break;
      case 'longLink':
        this.#longLink = untilNul(body);
    }
    this.#beginPadding();
  }

  #member(raw: RawHeader, at: number): TarMember {
    const pax = this.#pax === undefined ? this.#globalPax : { ...this.#globalPax, ...this.#pax };
    const name = pax.path ?? this.#longName ?? raw.name;
    const link = pax.linkpath ?? this.#longLink ?? raw.linkName;
    this.#pax = undefined;
    this.#longName = undefined;
    this.#longLink = undefined;

    const known = TYPES[raw.typeFlag];
    if (known === undefined || pax.sparse === true) {
      const what =
        raw.typeFlag === 'S' || pax.sparse === true
          ? 'a sparse file'
          : `of the unknown type ${JSON.stringify(raw.typeFlag)}`;
      throw new SlipwayError('E_UNSUPPORTED', `cannot read the archive: ${JSON.stringify(name)} is ${what}`, {
        hint: 'make the archive again without --sparse and in the format ustar, gnu or pax',
      });
    }
    // Before ustar, a slash at the end was how a directory was known.
    const type = known === 'file' && raw.typeFlag !== CONTIGUOUS && name.endsWith('/') ? 'dir' : known;
    const claimed = pax.size ?? raw.size;
    // Some programs read over the content of such a directory, others take it for members.
    if (known === 'file' && type === 'dir' && claimed !== 0)
      throw badArchive(at, `the directory ${JSON.stringify(name)} has content`);
    // What links, directories and devices claim counts for nothing, as in Go.
    const size = type === 'file' ? claimed : 0;
    const uid = pax.uid ?? raw.uid;
    const gid = pax.gid ?? raw.gid;
    if (size < 0 || uid < 0 || gid < 0) throw badArchive(at, `${JSON.stringify(name)} has a negative size or owner`);
    // Where it is unpacked it would be root's.
    if (uid > MOST_OWNER || gid > MOST_OWNER)
      throw badArchive(at, `the owner ${uid}:${gid} of ${JSON.stringify(name)} is more than ${MOST_OWNER}`);
    const path = cleanPath(name, this.#limits);
    this.#metadata += jsonLength(path) + jsonLength(link) + attributesLength(pax);
    checkLimit(this.#metadata, this.#limits.metadata, 'its names and attributes are too big together');
    if (path === '' && known !== 'dir') throw unsafeArchive(`its root (${JSON.stringify(name)}) is no directory`);
    const mode = raw.mode & 0o7777;
    const mtime = pax.mtime ?? raw.mtime;
    const plain = { path, type, mode, uid, gid, size, mtime, offset: this.#offset };
    const member = pax.xattrs === undefined ? plain : { ...plain, xattrs: pax.xattrs };
    switch (type) {
      case 'symlink':
        checkLimit(
          Buffer.byteLength(link),
          this.#limits.pathLength,
          `the target of the link ${JSON.stringify(path)} is too long`,
        );
        if (link === '') throw badArchive(at, `the symbolic link ${JSON.stringify(path)} has no target`);
        return { ...member, linkTarget: link };
      case 'hardlink':
        return { ...member, linkTarget: cleanPath(link, this.#limits) };
      case 'char':
      case 'block':
        return { ...member, devMajor: raw.devMajor, devMinor: raw.devMinor };
      default:
        return member;
    }
  }
}

function untilNul(body: Buffer): string {
  const nul = body.indexOf(0);
  return pathFromBytes(nul < 0 ? body : body.subarray(0, nul));
}

/** A text whose JSON has as many characters, but for the quotes. */
const PLAIN = /^[ !#-[\]-~]*$/;

function jsonLength(text: string): number {
  return PLAIN.test(text) ? text.length : JSON.stringify(text).length;
}

function attributesLength({ xattrs = {} }: PaxFields): number {
  let length = 0;
  for (const [name, value] of Object.entries(xattrs)) length += jsonLength(name) + value.length;
  return length;
}

/** A component that is empty, `.` or `..`. */
const UNCLEAN = /(?:^|\/)\.{0,2}(?:\/|$)/;

/** A name of the tar as a path relative to the root. */
function cleanPath(name: string, limits: TarLimits): string {
  // A character is at most three bytes.
  if (name.length * 3 > limits.pathLength) checkLimit(Buffer.byteLength(name), limits.pathLength, 'a path is too long');
  // What most programs put before every name.
  let path = name.startsWith('./') ? name.slice(2) : name;
  if (UNCLEAN.test(path)) {
    const parts = name.split('/').filter((part) => part !== '' && part !== '.');
    if (parts.includes('..')) throw unsafeArchive(`the path ${JSON.stringify(name)} leaves the root`);
    path = parts.join('/');
  }
  // Fewer characters than the limit cannot be too many components.
  if (path.length > limits.depth) {
    checkLimit(path.split('/').length, limits.depth, `the path ${JSON.stringify(`${path.slice(0, 60)}…`)} is too deep`);
  }
  return path;
}

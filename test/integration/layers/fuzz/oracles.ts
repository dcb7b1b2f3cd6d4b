import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { pathToBytes } from '../../../../src/layers/path-bytes.js';
import { readTar, type TarMember } from '../../../../src/layers/tar-reader.js';
import { inPieces } from '../../../unit/layers/raw-tar.js';

/** A member of an archive as somebody reads it. */
export interface Listed {
  /** Cleaned; in latin1, so that every byte shows. */
  readonly path: string;
  readonly type: string;
  /** Of files. */
  readonly size: number | undefined;
  /** What links lead to; cleaned where it is a hard link. */
  readonly link: string | undefined;
  readonly mode?: number;
  readonly owner?: string;
  readonly digest?: string;
}

export interface Listing {
  readonly members: readonly Listed[];
  /** What made the reader stop, or was wrong in its eyes. */
  readonly complaint: string | undefined;
}

/** What we read, and where contents begin. @throws as readTar. */
export async function ourListing(tar: Buffer): Promise<readonly (Listed & { readonly offset: number })[]> {
  const members: (Listed & { readonly offset: number })[] = [];
  let current: TarMember | undefined;
  let hash = createHash('sha256');
  await readTar(inPieces(tar), {
    member(member) {
      current = member;
      hash = createHash('sha256');
    },
    content: (piece) => void hash.update(piece),
    end() {
      if (current !== undefined) members.push({ ...listed(current, hash.digest('hex')), offset: current.offset });
    },
  });
  return members;
}

function listed({ path, type, size, mode, uid, gid, linkTarget }: TarMember, digest: string): Listed {
  const latin = (text: string): string => pathToBytes(text).toString('latin1');
  return {
    path: latin(path),
    type,
    size: type === 'file' ? size : undefined,
    link: linkTarget === undefined ? undefined : latin(linkTarget),
    mode,
    owner: `${uid}:${gid}`,
    ...(type === 'file' ? { digest } : {}),
  };
}

/** Files with these archives, by their position. */
export function writeArchives(dir: string, tars: readonly Buffer[]): readonly string[] {
  mkdirSync(dir, { recursive: true });
  return tars.map((tar, index) => {
    const file = join(dir, `${index}.tar`);
    writeFileSync(file, tar);
    return file;
  });
}

const PYTHON = fileURLToPath(new URL('./oracle.py', import.meta.url));

interface PythonMember {
  readonly path: string;
  readonly type: string;
  readonly size: number;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly link: string;
  readonly digest: string;
}

/** What Python's tarfile reads. */
export function pythonListings(files: readonly string[]): readonly Listing[] {
  const output = execFileSync('python3', [PYTHON], { input: `${files.join('\n')}\n`, maxBuffer: 1 << 30 });
  const lines = output.toString('utf8').trimEnd().split('\n');
  return lines.map((line) => {
    const { members, error } = JSON.parse(line) as { members: PythonMember[]; error: string | null };
    return {
      members: members.map(({ path, type, size, mode, uid, gid, link, digest }) => ({
        path: clean(path),
        type: type === 'other V' ? 'volume' : type,
        size: type === 'file' ? size : undefined,
        link: type === 'symlink' ? link : type === 'hardlink' ? clean(link) : undefined,
        mode,
        owner: `${uid}:${gid}`,
        ...(type === 'file' ? { digest } : {}),
      })),
      complaint: error ?? undefined,
    };
  });
}

const LIST_ALL = `for file; do
  tar --list --verbose --numeric-owner --full-time --quoting-style=c -f "$file" >"$file.out" 2>"$file.err" || echo "exit $?" >>"$file.err"
done`;
const GNU_TYPES: Readonly<Record<string, string>> = {
  '-': 'file',
  C: 'file',
  d: 'dir',
  l: 'symlink',
  h: 'hardlink',
  c: 'char',
  b: 'block',
  p: 'fifo',
};
const GNU_VOLUME = /^V.*--Volume Header--$/;
/** `-rw-r--r-- 1/2   700 2001-09-09 01:46:40 "d/f"`, with `-> "x"` or `link to "x"` for links. */
const GNU_LINE =
  /^(\S)(\S{9}) (-?\d+)\/(-?\d+) +(-?\d+(?:,\d+)?) (\S+ \S+|\S+) +("(?:[^"\\]|\\.)*")(?: -> | link to )?("(?:[^"\\]|\\.)*")?$/;

/** What GNU tar lists. */
export function gnuListings(files: readonly string[]): readonly Listing[] {
  for (let at = 0; at < files.length; at += 1000)
    execFileSync('sh', ['-c', LIST_ALL, 'sh', ...files.slice(at, at + 1000)], {
      env: { ...process.env, LC_ALL: 'C', TZ: 'UTC' },
      stdio: 'pipe',
    });
  return files.map((file) => {
    const complaint = readFileSync(`${file}.err`, 'latin1').trim();
    const lines = readFileSync(`${file}.out`, 'latin1').split('\n').slice(0, -1);
    return { members: lines.map(gnuMember), complaint: complaint === '' ? undefined : complaint };
  });
}

function gnuMember(line: string): Listed {
  if (GNU_VOLUME.test(line)) return { path: '', type: 'volume', size: undefined, link: undefined };
  const match = GNU_LINE.exec(line);
  if (match === null) return { path: line, type: 'a line that cannot be read', size: undefined, link: undefined };
  const [, kind = '', , uid, gid, size, , name = '', link] = match;
  const type = GNU_TYPES[kind] ?? `other ${kind}`;
  const target = link === undefined ? undefined : unquoted(link);
  return {
    path: clean(unquoted(name)),
    type,
    size: type === 'file' ? Number(size) : undefined,
    link: target === undefined ? undefined : type === 'hardlink' ? clean(target) : target,
    owner: `${uid}:${gid}`,
  };
}

const ESCAPES: Readonly<Record<string, string>> = { n: '\n', t: '\t', r: '\r', a: '\x07', b: '\b', f: '\f', v: '\v' };

/** Without C's quotes and escapes. */
function unquoted(text: string): string {
  return text
    .slice(1, -1)
    .replace(/\\([0-7]{3}|.)/g, (_, what: string) =>
      what.length === 3 ? String.fromCharCode(Number.parseInt(what, 8)) : (ESCAPES[what] ?? what),
    );
}

function clean(path: string): string {
  return path
    .split('/')
    .filter((part) => part !== '' && part !== '.')
    .join('/');
}

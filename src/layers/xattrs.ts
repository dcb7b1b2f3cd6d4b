import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { type ErrorCode, errnoOf, SlipwayError } from '../base/errors.js';
import { isLocalXattr } from './layer-names.js';
import { pathFromBytes, pathToBytes } from './path-bytes.js';

/** Extended attributes of one file, values in base64. */
export type Xattrs = Readonly<Record<string, string>>;

export interface FileXattrs {
  /** Relative to a directory that is said beside it. */
  readonly path: string;
  readonly xattrs: Xattrs;
}

/** As {@link writeXattrs}. */
export type XattrWriter = (dir: string, files: readonly FileXattrs[]) => Promise<void>;

/** The numbers of the system calls llistxattr, lgetxattr, lsetxattr (Linux, syscall(2)): Node has no way to extended attributes. */
const SYSCALLS: Readonly<Record<string, string>> = { x64: '195 192 189', arm64: '12 9 6' };

/**
 * One process for any number of files. The program comes first on its standard input (as an argument it would make perl open /dev/null, which a
 * confined one does not have). Then it reads NUL-separated commands `r PATH` and `w PATH NAME HEXVALUE`, relative to its working directory,
 * and answers each `r` with a line of `HEXNAME=HEXVALUE` separated by spaces. Symbolic links are never followed at the end of a path.
 */
const PERL = String.raw`
use strict; $| = 0; $/ = "\0"; binmode STDIN; binmode STDOUT;
my ($list, $get, $set) = splice @ARGV, 0, 3; $_ += 0 for $list, $get, $set;
sub fail { my ($what, $path) = @_; my $n = $! + 0; print STDERR "$n $what $path: $!\n"; exit 3 }
while (defined(my $op = <STDIN>)) {
  chomp $op; my $path = <STDIN>; chomp $path;
  if ($op eq 'w') {
    my $name = <STDIN>; chomp $name; my $hex = <STDIN>; chomp $hex; my $value = pack 'H*', $hex;
    syscall($set, $path, $name, $value, length $value, 0) == 0 or fail("setting $name of", $path);
    next;
  }
  my $names = "\0" x 65536; my $n = syscall($list, $path, $names, length $names);
  if ($n < 0) { fail('reading', $path) unless $! == 95; $n = 0 }
  my @out;
  for my $name (split /\0/, substr $names, 0, $n) {
    my $value = "\0" x 65536; my $m = syscall($get, $path, $name, $value, length $value);
    push @out, unpack('H*', $name) . '=' . unpack('H*', substr $value, 0, $m) if $m >= 0;
  }
  print join(' ', @out), "\n";
}
`;

/**
 * Reads the extended attributes of many files at once, without those that belong to this machine (overlayfs's, SELinux's) unless
 * `local` is set.
 *
 * @param dir what the paths are relative to; the last component of a path is not followed when it is a symbolic link.
 * @returns attributes for each path, in the order of the paths; undefined for a path that has none.
 * @throws SlipwayError E_MISSING_PROGRAM when perl is not installed; E_UNSUPPORTED on other processors than amd64 and arm64;
 * E_FILE_CHANGED when a path is gone.
 */
export async function readXattrs(
  dir: string,
  paths: readonly string[],
  { local = false }: { readonly local?: boolean } = {},
): Promise<(Xattrs | undefined)[]> {
  if (paths.length === 0) return [];
  const output = await runHelper(
    dir,
    commands(paths, (path) => ['r', path]),
  );
  return output
    .split('\n')
    .slice(0, paths.length)
    .map((line) => {
      const pairs = line
        .split(' ')
        .filter((pair) => pair !== '')
        .map((pair): [string, string] => {
          const [name = '', value = ''] = pair.split('=');
          return [Buffer.from(name, 'hex').toString('utf8'), Buffer.from(value, 'hex').toString('base64')];
        })
        .filter(([name]) => local || !isLocalXattr(name));
      return pairs.length === 0 ? undefined : Object.fromEntries(pairs.sort(([a], [b]) => (a < b ? -1 : 1)));
    });
}

/**
 * Sets extended attributes of many files at once.
 *
 * @param dir what the paths are relative to. The caller has made sure that no parent is a symbolic link that leads elsewhere, or that there is
 * no elsewhere for the process that `start` starts.
 * @throws SlipwayError E_PERMISSION, E_UNSUPPORTED when the file system has none, E_BAD_ARCHIVE for a name or value that is too long,
 * E_MISSING_PROGRAM when perl is not installed.
 */
export async function writeXattrs(
  dir: string,
  files: readonly FileXattrs[],
  start: ProgramStarter = startIn,
): Promise<void> {
  await runHelper(
    dir,
    commands(files, ({ path, xattrs }) =>
      Object.entries(xattrs).flatMap(([name, value]) => [
        'w',
        path,
        name,
        Buffer.from(value, 'base64').toString('hex'),
      ]),
    ),
    start,
  );
}

function* commands<T>(items: Iterable<T>, words: (item: T) => string[]): Generator<Buffer> {
  for (const item of items) {
    const list = words(item);
    // It would end the word: the rest would be commands of whoever made the layer.
    if (list.some((word) => word.includes('\0')))
      throw new SlipwayError('E_UNSAFE_ARCHIVE', 'extended attributes: a name contains a NUL');
    // The word after each command letter is a path. The root's is empty.
    const parts = list.map((word, index) => pathToBytes(index % 4 === 1 ? `./${word}` : word));
    yield Buffer.concat(parts.flatMap((part) => [part, Buffer.of(0)]));
  }
}

/** Starts a program in a directory, with pipes for its standard streams. */
export type ProgramStarter = (dir: string, words: readonly string[]) => ChildProcessWithoutNullStreams;

const startIn: ProgramStarter = (dir, [program = '', ...args]) => spawn(program, args, { cwd: dir });

async function runHelper(dir: string, input: Iterable<Buffer>, start: ProgramStarter = startIn): Promise<string> {
  const numbers = SYSCALLS[process.arch];
  if (process.platform !== 'linux' || numbers === undefined) {
    throw new SlipwayError(
      'E_UNSUPPORTED',
      `extended attributes are not supported on ${process.platform}/${process.arch}`,
    );
  }
  const child = start(dir, ['perl', '-', ...numbers.split(' ')]);
  child.stdin.write(`${PERL}\n__END__\n`);
  const output: Buffer[] = [];
  let stderr = '';
  child.stdout.on('data', (chunk: Buffer) => output.push(chunk));
  child.stderr.on('data', (chunk: Buffer) => {
    stderr += pathFromBytes(chunk);
  });
  child.stdin.on('error', () => {});
  const ended = new Promise<void>((resolve, reject) => {
    child.once('error', (error) => reject(startFailure(error)));
    child.once('close', (code) => (code === 0 ? resolve() : reject(helperFailure(stderr.trim()))));
  });
  ended.catch(() => {});
  for (const piece of input) {
    if (child.stdin.destroyed) break;
    if (!child.stdin.write(piece)) await Promise.race([new Promise((next) => child.stdin.once('drain', next)), ended]);
  }
  child.stdin.end();
  await ended;
  return Buffer.concat(output).toString('latin1');
}

function startFailure(error: unknown): SlipwayError {
  const missing = errnoOf(error) === 'ENOENT';
  return new SlipwayError(
    missing ? 'E_MISSING_PROGRAM' : 'E_INTERNAL',
    'the program perl is needed for extended attributes (file capabilities, opaque directories) and cannot be started',
    { hint: 'install it, on Debian: apt install perl-base', cause: error },
  );
}

/** errno(3) on Linux. */
const CODE_OF: Readonly<Record<number, ErrorCode>> = {
  1: 'E_PERMISSION',
  2: 'E_FILE_CHANGED',
  5: 'E_SYSTEM',
  7: 'E_BAD_ARCHIVE',
  13: 'E_PERMISSION',
  20: 'E_FILE_CHANGED',
  22: 'E_BAD_ARCHIVE',
  28: 'E_NO_SPACE',
  30: 'E_PERMISSION',
  34: 'E_BAD_ARCHIVE',
  95: 'E_UNSUPPORTED',
  122: 'E_NO_SPACE',
};

/** `ERRNO what path: text` as the helper prints it. */
function helperFailure(line: string): SlipwayError {
  const [, errno, what] = /^(\d+) (.*)$/s.exec(line) ?? [undefined, '0', line];
  const code = CODE_OF[Number(errno)] ?? 'E_INTERNAL';
  return new SlipwayError(code, `extended attributes: ${what}`, {
    ...(code === 'E_UNSUPPORTED'
      ? { hint: 'use a file system that has them (ext4, xfs, btrfs), not NFS or an old tmpfs' }
      : {}),
  });
}

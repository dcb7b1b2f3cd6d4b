import {
  closeSync,
  constants,
  fchmodSync,
  fstatSync,
  futimesSync,
  lstatSync,
  mkdirSync,
  openSync,
  rmdirSync,
  unlinkSync,
} from 'node:fs';
import { SlipwayError } from '../../base/errors.js';
import { arrivalPath, childOf, type OpenDirectory, walkRootfs } from './rootfs-walk.js';

export type MountPointKind = 'directory' | 'file';

export interface WantedMountPoint {
  readonly path: string;
  readonly kind: MountPointKind;
  /** Permission bits if it must be made; 0755 for a directory and 0644 for a file when not given. */
  readonly mode?: number;
}

export interface MountPoints {
  /** Where each wanted path really is inside the rootfs, in the order they were asked for. */
  readonly paths: readonly string[];
  /**
   * Takes away what was made for the mounts and is still as it was made, and gives their parents back the times they had, unless
   * the command changed them itself. To be called when every process of the sandbox has ended.
   */
  remove(): void;
}

interface Stub {
  readonly path: string;
  readonly kind: MountPointKind;
  readonly inode: string;
}

interface Times {
  readonly atime: number;
  readonly mtime: number;
}

/**
 * Makes the places that are missing in a rootfs so that something can be mounted there, so that neither runc nor bwrap
 * makes them (and leaves them in the layer). A wanted path that lies in another wanted path is not made: the mount hides it.
 * @throws SlipwayError E_MOUNT when a file is where a directory is needed, or the other way round
 */
export function makeMountPoints(rootfs: string, wanted: readonly WantedMountPoint[]): MountPoints {
  const stubs: Stub[] = [];
  const before = new Map<string, Times>();
  const paths: string[] = [];
  try {
    for (const one of wanted) paths.push(makeMountPoint(rootfs, one, paths, stubs, before));
  } catch (error) {
    removeStubs(rootfs, stubs, before, undefined);
    throw error;
  }
  const after = new Map([...before.keys()].map((path) => [path, changeTime(rootfs, path)]));
  return { paths, remove: () => removeStubs(rootfs, stubs, before, after) };
}

/**
 * The real path of a directory of the rootfs, made (0755, with its parents) when it is missing; it is there to stay.
 * @param covered places of mounts: nothing is made below them
 */
export function ensureRootfsDirectory(rootfs: string, path: string, covered: readonly string[]): string {
  return makeMountPoint(rootfs, { path, kind: 'directory' }, covered, [], new Map());
}

function makeMountPoint(
  rootfs: string,
  { path, kind, mode }: WantedMountPoint,
  covered: readonly string[],
  stubs: Stub[],
  before: Map<string, Times>,
): string {
  return walkRootfs(rootfs, path, (arrival) => {
    const real = arrivalPath(arrival);
    const { directories, leaf, missing } = arrival;
    if (covered.some((other) => real.startsWith(`${other}/`))) return real;
    if (missing.length === 0) {
      const found = leaf === undefined ? 'directory' : 'file';
      if (found === kind) return real;
      throw new SlipwayError('E_MOUNT', `cannot mount on ${path}: it is a ${found}, and a ${kind} is needed there`);
    }
    const opened: OpenDirectory[] = [];
    try {
      let parent = directories[directories.length - 1] as OpenDirectory;
      let parentPath = arrivalPath({ directories, missing: [] });
      if (!stubs.some((stub) => stub.path === parentPath) && !before.has(parentPath)) {
        const { atimeMs, mtimeMs } = fstatSync(parent.descriptor);
        before.set(parentPath, { atime: atimeMs / 1000, mtime: mtimeMs / 1000 });
      }
      missing.forEach((name, index) => {
        const last = index === missing.length - 1;
        const madeKind = last ? kind : 'directory';
        const descriptor = create(parent, name, madeKind, last ? mode : undefined);
        opened.push({ name, descriptor });
        parent = { name, descriptor };
        parentPath = `${parentPath === '/' ? '' : parentPath}/${name}`;
        stubs.push({ path: parentPath, kind: madeKind, inode: inodeOf(descriptor) });
      });
    } finally {
      for (const { descriptor } of opened) closeSync(descriptor);
    }
    return real;
  });
}

/** Makes one entry that was not there and opens it; whatever appeared there meanwhile is an error. */
function create(parent: OpenDirectory, name: string, kind: MountPointKind, mode: number | undefined): number {
  const path = childOf(parent, name);
  const { O_RDONLY, O_WRONLY, O_CREAT, O_EXCL, O_DIRECTORY, O_NOFOLLOW } = constants;
  if (kind === 'directory') mkdirSync(path, 0o755);
  const descriptor =
    kind === 'directory'
      ? openSync(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
      : openSync(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o644);
  // Whatever the umask of the process is.
  fchmodSync(descriptor, mode ?? (kind === 'directory' ? 0o755 : 0o644));
  return descriptor;
}

function removeStubs(
  rootfs: string,
  stubs: readonly Stub[],
  before: ReadonlyMap<string, Times>,
  after: ReadonlyMap<string, bigint | undefined> | undefined,
): void {
  const untouched = [...before].filter(([path]) => after === undefined || changeTime(rootfs, path) === after.get(path));
  for (const stub of [...stubs].reverse()) removeStub(rootfs, stub);
  for (const [path, { atime, mtime }] of untouched)
    visitKnown(rootfs, path, (directory) => futimesSync(directory.descriptor, atime, mtime));
}

/** Removes one stub when it is the very entry that was made and is still empty. */
function removeStub(rootfs: string, { path, kind, inode }: Stub): void {
  const slash = path.lastIndexOf('/');
  const name = path.slice(slash + 1);
  visitKnown(rootfs, path.slice(0, slash), (parent) => {
    const stats = lstatSync(childOf(parent, name), { bigint: true, throwIfNoEntry: false });
    if (stats === undefined || `${stats.dev}:${stats.ino}` !== inode) return;
    if (kind === 'directory' && stats.isDirectory()) removeEmptyDirectory(childOf(parent, name));
    else if (kind === 'file' && stats.isFile() && stats.size === 0n) unlinkSync(childOf(parent, name));
  });
}

function removeEmptyDirectory(path: string): void {
  try {
    rmdirSync(path);
  } catch {
    // The command put something in it: it is the command's directory now.
  }
}

/** Visits a directory by a path that had no links; does nothing when it is gone or has become something else. */
function visitKnown(rootfs: string, path: string, visit: (directory: OpenDirectory) => void): void {
  try {
    walkRootfs(
      rootfs,
      path,
      ({ directories, leaf, missing }) => {
        const directory = directories[directories.length - 1];
        if (directory !== undefined && leaf === undefined && missing.length === 0) visit(directory);
      },
      'refuse',
    );
  } catch (error) {
    if (!(error instanceof SlipwayError && error.code === 'E_MOUNT')) throw error;
  }
}

function changeTime(rootfs: string, path: string): bigint | undefined {
  let time: bigint | undefined;
  visitKnown(rootfs, path, ({ descriptor }) => {
    time = fstatSync(descriptor, { bigint: true }).mtimeNs;
  });
  return time;
}

function inodeOf(descriptor: number): string {
  const { dev, ino } = fstatSync(descriptor, { bigint: true });
  return `${dev}:${ino}`;
}

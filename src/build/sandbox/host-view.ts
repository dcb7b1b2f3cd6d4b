import { lstatSync, readdirSync, readFileSync, readlinkSync, realpathSync } from 'node:fs';
import { dirname, join, posix } from 'node:path';
import { SlipwayError } from '../../base/errors.js';
import { kernelFileSystems, type PlacedMount, requestedMounts } from './bwrap-arguments.js';
import { listeningSockets } from './host-sockets.js';
import { statOf } from './stat-of.js';
import { unreadableByOthers } from './unreadable.js';

/**
 * Where a host mode command finds the rootfs. Always the same place, so that a path that gets into a built file does not
 * depend on the store. Not under /tmp: `rm -rf /tmp/*` is a common last line of a script.
 */
export const HOST_ROOTFS = '/rootfs';

/** A host mode command's HOME: empty, in memory, gone afterwards. */
export const HOST_HOME = '/root';

/** Directories of which a command sees nothing of the machine's: sockets and state of services, people's keys, others' temporary files. */
export const PRIVATE_DIRECTORIES = ['/tmp', '/var/tmp', '/run', '/var/run', '/root', '/home'];

const OWN = new Set(['proc', 'sys', 'dev', 'tmp', 'run', 'root', 'home', HOST_ROOTFS.slice(1)]);

/**
 * The file system of a host mode command, as bwrap arguments: the machine's top-level directories read-only below a root of
 * its own, {@link PRIVATE_DIRECTORIES} empty, sockets of services covered, and the rootfs writable at {@link HOST_ROOTFS}.
 * /tmp and /var/tmp are on the disk that holds the run directory: what is unpacked there may be larger than the memory.
 * @param homeForAll whether the command runs as another user than root, who shall be able to write to HOME
 */
export function hostView(options: {
  readonly rootfs: string;
  readonly runDirectory: string;
  readonly hide: readonly string[];
  readonly mounts: readonly PlacedMount[];
  readonly homeForAll: boolean;
}): readonly string[] {
  const { rootfs, runDirectory } = options;
  const top = topLevel();
  return [
    ...top.flatMap(({ args }) => args),
    ...kernelFileSystems(runDirectory),
    ...['--bind', join(runDirectory, 'tmp'), '/tmp'],
    ...['--perms', '0755', '--tmpfs', '/run', '--perms', '1777', '--dir', '/run/lock'],
    ...['--perms', options.homeForAll ? '1777' : '0700', '--tmpfs', HOST_HOME, '--perms', '0755', '--tmpfs', '/home'],
    ...(isRealDirectory('/var/tmp') ? ['--bind', join(runDirectory, 'var-tmp'), '/var/tmp'] : []),
    ...(isRealDirectory('/var/run') ? ['--tmpfs', '/var/run'] : []),
    ...resolverFile(),
    ...serviceSockets().flatMap((path) => ['--ro-bind', '/dev/null', path]),
    ...secrets(
      top.map(({ path }) => path),
      options.hide,
    ),
    ...options.hide.flatMap(hidden),
    ...['--bind', rootfs, HOST_ROOTFS],
    ...requestedMounts(options.mounts),
    ...['--remount-ro', '/home', '--remount-ro', '/'],
  ];
}

/**
 * Where a mount of the machine's part of the view goes. Its place must exist there, or lie where the sandbox can make it:
 * in a private directory or as a new top-level name.
 * @returns the path without links
 * @throws SlipwayError E_MOUNT when the place cannot be made or is of the wrong kind
 */
export function placeOnHost(target: string, kind: 'directory' | 'file'): string {
  const path = withoutLinks(posix.normalize(target));
  if (path === '/' || [...OWN].some((name) => path === `/${name}`))
    throw new SlipwayError('E_MOUNT', `cannot mount on ${target}: the sandbox needs that directory`);
  if (isPrivate(path) || !exists(`/${path.split('/')[1]}`)) return path;
  const stats = statOf(path);
  if (stats === undefined)
    throw new SlipwayError(
      'E_MOUNT',
      `cannot mount on ${target}: it does not exist on this machine, which is read-only for RUN`,
      {
        hint: 'choose a target under /run, /tmp or $HOME, or a relative one, which lies in the rootfs',
      },
    );
  if (stats.isDirectory() !== (kind === 'directory'))
    throw new SlipwayError('E_MOUNT', `cannot mount on ${target}: a ${kind} is needed there`);
  return path;
}

/** True for a path that the command finds in one of its own directories, not the machine's. */
function isPrivate(path: string): boolean {
  return ['/tmp', '/run', HOST_HOME].some((place) => path.startsWith(`${place}/`)) || path.startsWith('/var/tmp/');
}

/** Follows links of the machine (/var/run → /run); what lies in a private directory is not looked up there. */
function withoutLinks(path: string): string {
  if (path === '/' || isPrivate(path)) return path;
  const parent = withoutLinks(dirname(path));
  const here = posix.join(parent, posix.basename(path));
  if (isPrivate(here) || !exists(here)) return here;
  try {
    return realpathSync(here);
  } catch {
    return here;
  }
}

interface TopLevelEntry {
  readonly path: string;
  readonly args: readonly string[];
}

function topLevel(): readonly TopLevelEntry[] {
  return readdirSync('/', { withFileTypes: true }).flatMap((entry): TopLevelEntry[] => {
    const path = `/${entry.name}`;
    if (OWN.has(entry.name)) return [];
    if (entry.isSymbolicLink()) return [{ path, args: ['--symlink', readlinkSync(path), path] }];
    return entry.isDirectory() || entry.isFile() ? [{ path, args: ['--ro-bind', path, path] }] : [];
  });
}

/** Covers what the machine keeps from others: the command may be a stranger's, and what it reads can end up in an image. */
function secrets(top: readonly string[], hide: readonly string[]): readonly string[] {
  const { files, directories } = unreadableByOthers(top, [...PRIVATE_DIRECTORIES, ...hide]);
  return [
    ...directories.flatMap((path) => ['--perms', '0755', '--tmpfs', path, '--remount-ro', path]),
    ...files.flatMap((path) => ['--ro-bind', '/dev/null', path]),
  ];
}

/** /etc/resolv.conf is often a link to a file in /run, which is private: that file is put back. */
function resolverFile(): readonly string[] {
  try {
    const path = realpathSync('/etc/resolv.conf');
    return path.startsWith('/run/') ? ['--ro-bind', path, path] : [];
  } catch {
    return [];
  }
}

function serviceSockets(): readonly string[] {
  let table: string;
  try {
    table = readFileSync('/proc/net/unix', 'utf8');
  } catch {
    return [];
  }
  return listeningSockets(table).filter((path) => {
    if (PRIVATE_DIRECTORIES.some((place) => path.startsWith(`${place}/`))) return false;
    try {
      return realpathSync(path) === path && lstatSync(path).isSocket();
    } catch {
      return false;
    }
  });
}

function hidden(path: string): readonly string[] {
  const real = statOf(path)?.isDirectory() === true ? realpathSync(path) : undefined;
  if (real === undefined || PRIVATE_DIRECTORIES.some((place) => real === place || real.startsWith(`${place}/`)))
    return [];
  return ['--tmpfs', real, '--remount-ro', real];
}

function isRealDirectory(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}

function exists(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false }) !== undefined;
}

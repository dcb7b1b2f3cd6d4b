import { readFileSync, realpathSync } from 'node:fs';
import { posix } from 'node:path';
import { SlipwayError } from '../../base/errors.js';
import type { PlacedMount } from './bwrap-arguments.js';
import { HOST_ROOTFS, placeOnHost } from './host-view.js';
import {
  ensureRootfsDirectory,
  type MountPointKind,
  type MountPoints,
  makeMountPoints,
  type WantedMountPoint,
} from './mount-points.js';
import { resolveUser, type SandboxUser } from './rootfs-user.js';
import { readRootfsFile } from './rootfs-walk.js';
import type { SandboxMount, SandboxRequest } from './sandbox-request.js';
import { statOf } from './stat-of.js';

const KERNEL_DIRECTORIES = ['/proc', '/sys', '/dev'];
const NETWORK_FILES = ['resolv.conf', 'hosts'];
const ACCOUNT_FILE_LIMIT = 1 << 20;

/** A request with every path of the rootfs resolved and every mount point in place. */
export interface Placement {
  /** In the order to mount them: what lies in another comes after it. */
  readonly mounts: readonly PlacedMount[];
  /** Container mode: where resolv.conf and hosts go. */
  readonly networkPlaces: Readonly<Record<string, string>>;
  /** As the command sees it. */
  readonly cwd: string;
  readonly user: SandboxUser;
  /** Takes the mount points out of the rootfs again; see {@link MountPoints.remove}. */
  remove(): void;
}

interface Target {
  readonly mount: SandboxMount;
  readonly kind: MountPointKind;
  /** Absolute, as the command sees it; links are not followed yet. */
  readonly path: string;
}

/**
 * Looks at a request's mounts, user and working directory, and makes what is missing of mount points.
 * @throws SlipwayError E_NOT_FOUND (source, user), E_MOUNT (target)
 */
export function placeRequest(request: SandboxRequest): Placement {
  return request.isolation === 'container' ? placeInContainer(request) : placeAmongHost(request);
}

function placeInContainer(request: SandboxRequest): Placement {
  const { rootfs } = request;
  const file = (path: string): string | undefined => readRootfsFile(rootfs, path, ACCOUNT_FILE_LIMIT);
  const user = resolveUser(request.user, file('/etc/passwd'), file('/etc/group'), "the rootfs's ");
  const targets = targetsOf(request, '/');
  const early = earlyDirectory(request, [...KERNEL_DIRECTORIES, ...targets.map(({ path }) => path)]);
  const points = makeMountPoints(rootfs, [
    ...KERNEL_DIRECTORIES.map((path) => ({ path, kind: 'directory' as const })),
    ...NETWORK_FILES.map((name) => ({ path: `/etc/${name}`, kind: 'file' as const })),
    ...targets.map((target) => wanted(target, target.path)),
  ]);
  return guarded(points, () => {
    const rest = [...points.paths];
    const kernel = rest.splice(0, KERNEL_DIRECTORIES.length);
    const network = rest.splice(0, NETWORK_FILES.length);
    const link = kernel.find((place, index) => place !== KERNEL_DIRECTORIES[index]);
    if (link !== undefined)
      throw new SlipwayError('E_MOUNT', `cannot run in this rootfs: /proc, /sys or /dev is a link to ${link}`);
    const mounts = targets.map(({ mount, path }, index) => {
      const place = rest[index] ?? path;
      return placed(mount, checkPlace(place, path, ['/', ...KERNEL_DIRECTORIES]));
    });
    const nested = nestedPoints(mounts, targets);
    return {
      mounts,
      // A link into a kernel file system: the image does not want the file.
      networkPlaces: Object.fromEntries(
        NETWORK_FILES.map((name, index) => [name, network[index] ?? ''] as const).filter(
          ([, place]) => !KERNEL_DIRECTORIES.some((directory) => place.startsWith(`${directory}/`)),
        ),
      ),
      cwd: checkWorkingDirectory(early ?? ensureRootfsDirectory(rootfs, request.cwd, points.paths)),
      user,
      remove: () => removeAll([points, ...nested]),
    };
  });
}

/**
 * Refuses a working directory in /proc, /sys or /dev. Nobody builds there, and through a descriptor that an unpatched runc
 * leaves open (`WORKDIR /proc/self/fd/7`) it would be a directory of the machine (CVE-2024-21626).
 */
function checkWorkingDirectory(cwd: string): string {
  if (!KERNEL_DIRECTORIES.some((directory) => cwd === directory || isBelow(cwd, directory))) return cwd;
  throw new SlipwayError('E_MOUNT', `cannot run in ${cwd}: it is the kernel's, not the rootfs's`, {
    hint: 'choose another WORKDIR',
  });
}

function placeAmongHost(request: SandboxRequest): Placement {
  const { rootfs } = request;
  const user = resolveUser(request.user, readHost('/etc/passwd'), readHost('/etc/group'), "the machine's ");
  const targets = targetsOf(request, HOST_ROOTFS);
  const inside = targets.filter(({ path }) => isBelow(path, HOST_ROOTFS));
  const inRootfs = ({ path }: Target): string => path.slice(HOST_ROOTFS.length);
  const early = earlyDirectory(request, inside.map(inRootfs));
  const points = makeMountPoints(
    rootfs,
    inside.map((target) => wanted(target, inRootfs(target))),
  );
  return guarded(points, () => {
    const mounts = targets.map((target) => {
      const place = points.paths[inside.indexOf(target)];
      return placed(
        target.mount,
        place === undefined
          ? placeOnHost(target.path, target.kind)
          : HOST_ROOTFS + checkPlace(place, target.path, ['/']),
      );
    });
    const nested = nestedPoints(mounts, targets);
    return {
      mounts,
      networkPlaces: {},
      cwd: posix.join(HOST_ROOTFS, early ?? ensureRootfsDirectory(rootfs, request.cwd, points.paths), '.'),
      user,
      remove: () => removeAll([points, ...nested]),
    };
  });
}

/** The mounts with their targets, outer ones before those that lie in them. */
function targetsOf({ mounts, cwd }: SandboxRequest, rootfs: string): readonly Target[] {
  const depth = ({ path }: Target): number => path.split('/').length;
  return mounts
    .map((mount) => {
      const inside = posix.resolve('/', cwd, mount.target);
      const path = mount.target.startsWith('/') ? inside : posix.join(rootfs, inside);
      return { mount, kind: kindOf(mount), path };
    })
    .sort((a, b) => depth(a) - depth(b));
}

/** Looks at the source of a mount; the place must be of the same kind. */
function kindOf(mount: SandboxMount): MountPointKind {
  if (mount.type === 'tmpfs') return 'directory';
  if (mount.type === 'secret') return 'file';
  const stats = statOf(mount.source);
  if (stats === undefined)
    throw new SlipwayError('E_NOT_FOUND', `cannot mount on ${mount.target}: ${mount.source} does not exist`);
  return stats.isDirectory() ? 'directory' : 'file';
}

/** runc gives a tmpfs the mode of its mount point: like /tmp when it is new. */
function wanted({ mount, kind }: Target, path: string): WantedMountPoint {
  return mount.type === 'tmpfs' ? { path, kind, mode: 0o1777 } : { path, kind };
}

function placed(mount: SandboxMount, place: string): PlacedMount {
  return { mount, place, source: mount.type === 'bind' ? realpathSync(mount.source) : '' };
}

/**
 * Makes the places of mounts that lie in other mounts, where those are directories of this machine. An engine that made them itself would
 * follow a link there: a cache may hold one that leads out of the sandbox.
 * @throws SlipwayError E_MOUNT when there is a link on the way
 */
function nestedPoints(mounts: readonly PlacedMount[], targets: readonly Target[]): readonly MountPoints[] {
  const made: MountPoints[] = [];
  try {
    mounts.forEach(({ place }, index) => {
      const outer = mounts.slice(0, index).findLast((other) => isBelow(place, other.place));
      if (outer?.mount.type !== 'bind') return;
      const target = targets[index];
      if (target === undefined) return;
      const path = place.slice(outer.place.length);
      const points = makeMountPoints(outer.source, [wanted(target, path)]);
      made.push(points);
      if (points.paths[0] !== path)
        throw new SlipwayError(
          'E_MOUNT',
          `cannot mount on ${target.path}: there is a link on the way, in the mount on ${outer.place}`,
        );
    });
    return made;
  } catch (error) {
    removeAll(made);
    throw error;
  }
}

/** Innermost first. */
function removeAll(points: readonly MountPoints[]): void {
  for (const { remove } of [...points].reverse()) remove();
}

function checkPlace(place: string, target: string, needed: readonly string[]): string {
  if (!needed.includes(place)) return place;
  throw new SlipwayError('E_MOUNT', `cannot mount on ${target}: the sandbox needs that directory`);
}

/**
 * Makes the working directory before any mount point, so that it does not pass for the parent of one and go with it;
 * undefined when it lies in a mount, whose place must be there first.
 */
function earlyDirectory({ rootfs, cwd }: SandboxRequest, targets: readonly string[]): string | undefined {
  const path = posix.resolve('/', cwd);
  const mounted = targets.some((target) => path === target || isBelow(path, target));
  return mounted ? undefined : ensureRootfsDirectory(rootfs, path, []);
}

function isBelow(path: string, directory: string): boolean {
  return path.startsWith(`${directory}/`);
}

function guarded(points: MountPoints, make: () => Placement): Placement {
  try {
    return make();
  } catch (error) {
    points.remove();
    throw error;
  }
}

function readHost(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}

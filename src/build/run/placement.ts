import { readFileSync, realpathSync } from 'node:fs';
import { join, posix } from 'node:path';
import { SlipwayError } from '../../base/errors.js';
import type { PlacedMount } from './bwrap-arguments.js';
import { HOST_ROOTFS, placeOnHost } from './host-view.js';
import { statOf } from './masked-paths.js';
import { ensureRootfsDirectory, type MountPointKind, type MountPoints, makeMountPoints } from './mount-points.js';
import { resolveUser, type SandboxUser } from './rootfs-user.js';
import { readRootfsFile } from './rootfs-walk.js';
import type { SandboxMount, SandboxRequest } from './sandbox-request.js';

const KERNEL_DIRECTORIES = ['/proc', '/sys', '/dev'];
const NETWORK_FILES = ['resolv.conf', 'hosts'];
const ACCOUNT_FILE_LIMIT = 1 << 20;

/** A request with every path of the rootfs resolved and every mount point in place. */
export interface Placement {
  readonly mounts: readonly (Omit<PlacedMount, 'source'> & { readonly source: string })[];
  /** Container mode: where resolv.conf and hosts go. */
  readonly networkPlaces: Readonly<Record<string, string>>;
  /** As the command sees it. */
  readonly cwd: string;
  readonly user: SandboxUser;
  /** Takes the mount points out of the rootfs again; see {@link MountPoints.remove}. */
  remove(): void;
}

/**
 * Looks at a request's mounts, user and working directory, and makes what is missing of mount points.
 * @throws SlipwayError E_NOT_FOUND (source, user), E_MOUNT (target)
 */
export function placeRequest(request: SandboxRequest): Placement {
  const kinds = request.mounts.map(kindOfMount);
  return request.isolation === 'container' ? placeInContainer(request, kinds) : placeAmongHost(request, kinds);
}

function placeInContainer(request: SandboxRequest, kinds: readonly MountPointKind[]): Placement {
  const { rootfs, mounts } = request;
  const file = (path: string): string | undefined => readRootfsFile(rootfs, path, ACCOUNT_FILE_LIMIT);
  const user = resolveUser(request.user, file('/etc/passwd'), file('/etc/group'), "the rootfs's ");
  const targets = mounts.map(({ target }) => posix.resolve('/', request.cwd, target));
  const forbidden = targets.find((target) => target === '/' || KERNEL_DIRECTORIES.includes(target));
  if (forbidden !== undefined)
    throw new SlipwayError('E_MOUNT', `cannot mount on ${forbidden}: the sandbox needs that directory`);
  const points = makeMountPoints(rootfs, [
    ...KERNEL_DIRECTORIES.map((path) => ({ path, kind: 'directory' as const })),
    ...NETWORK_FILES.map((name) => ({ path: `/etc/${name}`, kind: 'file' as const })),
    ...targets.map((path, index) => ({ path, kind: kinds[index] as MountPointKind })),
  ]);
  return guarded(points, () => {
    const [kernel, network, places] = split(points.paths, KERNEL_DIRECTORIES.length, NETWORK_FILES.length);
    kernel.forEach((place, index) => {
      if (place === KERNEL_DIRECTORIES[index]) return;
      throw new SlipwayError(
        'E_MOUNT',
        `cannot run in this rootfs: its ${KERNEL_DIRECTORIES[index]} is a link to ${place}`,
      );
    });
    return {
      mounts: placed(mounts, places),
      // A link into a kernel file system: the image does not want the file.
      networkPlaces: Object.fromEntries(
        NETWORK_FILES.map((name, index) => [name, network[index] as string] as const).filter(
          ([, place]) => !KERNEL_DIRECTORIES.some((directory) => place.startsWith(`${directory}/`)),
        ),
      ),
      cwd: ensureRootfsDirectory(rootfs, request.cwd, [...KERNEL_DIRECTORIES, ...places]),
      user,
      remove: points.remove,
    };
  });
}

function placeAmongHost(request: SandboxRequest, kinds: readonly MountPointKind[]): Placement {
  const { rootfs, mounts } = request;
  const user = resolveUser(request.user, readHost('/etc/passwd'), readHost('/etc/group'), "the machine's ");
  const inside = mounts.map(({ target }) => rootfsTarget(target, request.cwd));
  const points = makeMountPoints(
    rootfs,
    inside.flatMap((path, index) => (path === undefined ? [] : [{ path, kind: kinds[index] as MountPointKind }])),
  );
  return guarded(points, () => {
    const rest = [...points.paths];
    const places = mounts.map(({ target }, index) =>
      inside[index] === undefined
        ? placeOnHost(target, kinds[index] as MountPointKind)
        : join(HOST_ROOTFS, rest.shift() as string),
    );
    return {
      mounts: placed(mounts, places),
      networkPlaces: {},
      cwd: join(HOST_ROOTFS, ensureRootfsDirectory(rootfs, request.cwd, points.paths)),
      user,
      remove: points.remove,
    };
  });
}

/** The path inside the rootfs of a host mode target that lies in it, else undefined. */
function rootfsTarget(target: string, cwd: string): string | undefined {
  const path = target.startsWith('/') ? posix.normalize(target) : join(HOST_ROOTFS, posix.resolve('/', cwd, target));
  if (posix.resolve(path) === HOST_ROOTFS)
    throw new SlipwayError('E_MOUNT', `cannot mount on ${target}: that is the rootfs itself`);
  return path.startsWith(`${HOST_ROOTFS}/`) ? path.slice(HOST_ROOTFS.length) : undefined;
}

/** Looks at the source of a mount; the place must be of the same kind. */
function kindOfMount(mount: SandboxMount): MountPointKind {
  if (mount.type === 'tmpfs') return 'directory';
  const stats = statOf(mount.source);
  const wanted = mount.type === 'secret' ? 'secret' : 'source of the mount';
  if (stats === undefined)
    throw new SlipwayError(
      'E_NOT_FOUND',
      `cannot mount on ${mount.target}: the ${wanted} ${mount.source} does not exist`,
    );
  if (mount.type === 'secret' && !stats.isFile())
    throw new SlipwayError(
      'E_MOUNT',
      `cannot mount on ${mount.target}: the secret ${mount.source} is not a regular file`,
    );
  return stats.isDirectory() ? 'directory' : 'file';
}

function placed(mounts: readonly SandboxMount[], places: readonly string[]): readonly PlacedMount[] {
  return mounts.map((mount, index) => ({
    mount,
    place: places[index] as string,
    source: mount.type === 'tmpfs' ? '' : realpathSync(mount.source),
  }));
}

function guarded(points: MountPoints, make: () => Placement): Placement {
  try {
    return make();
  } catch (error) {
    points.remove();
    throw error;
  }
}

function split<T>(items: readonly T[], first: number, second: number): [readonly T[], readonly T[], readonly T[]] {
  return [items.slice(0, first), items.slice(first, first + second), items.slice(first + second)];
}

function readHost(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}

import { join } from 'node:path';
import { MASKED_PATHS } from './masked-paths.js';
import type { SandboxMount } from './sandbox-request.js';
import { statOf } from './stat-of.js';

/** Host name in every sandbox, so that it does not get into what is built. */
export const SANDBOX_HOST_NAME = 'slipway';

const DEVICES = ['null', 'zero', 'full', 'random', 'urandom', 'tty'];

/** A mount whose place has been found. */
export interface PlacedMount {
  readonly mount: SandboxMount;
  /** Absolute, as the command sees it, without links. */
  readonly place: string;
  /** What to bind there; empty for a tmpfs, and for a secret until it is known where the launch script puts it. */
  readonly source: string;
}

/**
 * Namespaces, environment and rights, common to both modes. The environment goes to bwrap through a file with the rest of its
 * arguments: a command line is readable for everybody. Descriptors: see {@link BWRAP_SCRIPT}.
 */
export function confinement(
  environment: Readonly<Record<string, string>>,
  capabilities: readonly string[],
  network: 'host' | 'none',
): readonly string[] {
  return [
    ...['--unshare-pid', '--unshare-ipc', '--unshare-uts', '--unshare-cgroup-try'],
    ...(network === 'none' ? ['--unshare-net'] : []),
    ...['--hostname', SANDBOX_HOST_NAME, '--die-with-parent', '--new-session'],
    ...['--seccomp', '6', '--json-status-fd', '4', '--cap-drop', 'ALL'],
    ...capabilities.flatMap((capability) => ['--cap-add', capability]),
    '--clearenv',
    ...Object.entries(environment).flatMap(([name, value]) => ['--setenv', name, value]),
  ];
}

/**
 * /proc, /sys and /dev. All of /proc is read-only: root may write to many files of it without a capability, and a command has
 * nothing to set there. The nodes of /dev are covered with those that the launch script made.
 */
export function kernelFileSystems(runDirectory: string): readonly string[] {
  const hide = (path: string): readonly string[] => {
    const stats = statOf(path);
    if (stats === undefined) return [];
    return stats.isDirectory() ? ['--tmpfs', path, '--remount-ro', path] : ['--ro-bind', '/dev/null', path];
  };
  return [
    ...['--proc', '/proc', '--ro-bind', '/sys', '/sys'],
    ...MASKED_PATHS.flatMap(hide),
    ...['--remount-ro', '/proc', '--dev', '/dev'],
    ...DEVICES.flatMap((name) => ['--dev-bind', join(runDirectory, 'private/dev', name), `/dev/${name}`]),
  ];
}

/** The request's own mounts, in their order. */
export function requestedMounts(mounts: readonly PlacedMount[]): readonly string[] {
  return mounts.flatMap(({ mount, place, source }) => {
    if (mount.type !== 'tmpfs')
      return [mount.type === 'bind' && !mount.readonly ? '--bind' : '--ro-bind', source, place];
    const size = mount.sizeBytes === undefined ? [] : ['--size', String(mount.sizeBytes)];
    return ['--perms', '1777', ...size, '--tmpfs', place];
  });
}

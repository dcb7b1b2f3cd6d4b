import { kernelFileSystems, type PlacedMount, requestedMounts } from './bwrap-arguments.js';

/**
 * The file system of a container mode command, as bwrap arguments, for machines without a runc that works: the rootfs as root,
 * with /proc, /sys and /dev as in host mode.
 * @param options.networkFiles resolv.conf and hosts
 */
export function containerView(options: {
  readonly rootfs: string;
  readonly runDirectory: string;
  readonly networkFiles: readonly PlacedMount[];
  readonly mounts: readonly PlacedMount[];
}): readonly string[] {
  return [
    ...['--bind', options.rootfs, '/'],
    ...kernelFileSystems(options.runDirectory),
    ...requestedMounts([...options.networkFiles, ...options.mounts]),
  ];
}

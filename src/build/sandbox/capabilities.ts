/**
 * What a host mode command keeps. It works on files of the rootfs as a package manager would, and on nothing else:
 * - CHOWN, DAC_OVERRIDE, FOWNER, FSETID, SETFCAP: give files owners, modes and file capabilities, whoever owns them
 * - SETUID, SETGID: become another user (`install -o`, `su -c`, `tar` as its owner); KILL: end what was started so
 * - SYS_CHROOT: try what was installed, `chroot . bin/tool`, `dpkg --root`
 *
 * Left out on purpose: DAC_READ_SEARCH (opens files of other mounts by handle), MKNOD (reaches disks through device nodes,
 * there is no device cgroup here), SYS_ADMIN, NET_ADMIN, NET_RAW (would see the machine's traffic), SYS_PTRACE, SYS_MODULE and the rest.
 */
export const HOST_CAPABILITIES = [
  'CAP_CHOWN',
  'CAP_DAC_OVERRIDE',
  'CAP_FOWNER',
  'CAP_FSETID',
  'CAP_KILL',
  'CAP_SETFCAP',
  'CAP_SETGID',
  'CAP_SETUID',
  'CAP_SYS_CHROOT',
] as const;

/** Docker's default set without MKNOD and NET_RAW; see {@link containerCapabilities}. */
const CONTAINER_CAPABILITIES = [
  'CAP_AUDIT_WRITE',
  'CAP_CHOWN',
  'CAP_DAC_OVERRIDE',
  'CAP_FOWNER',
  'CAP_FSETID',
  'CAP_KILL',
  'CAP_NET_BIND_SERVICE',
  'CAP_SETFCAP',
  'CAP_SETGID',
  'CAP_SETPCAP',
  'CAP_SETUID',
  'CAP_SYS_CHROOT',
] as const;

/**
 * What a container mode command keeps: Docker's default set, with two differences. MKNOD is never given: Docker fences it with a
 * device cgroup, which we do without, and device nodes may not enter a layer anyway. NET_RAW is given only in a network
 * namespace of its own: on the machine's network it reads and forges other people's packets.
 */
export function containerCapabilities(network: 'host' | 'none'): readonly string[] {
  return network === 'none' ? [...CONTAINER_CAPABILITIES, 'CAP_NET_RAW'] : CONTAINER_CAPABILITIES;
}

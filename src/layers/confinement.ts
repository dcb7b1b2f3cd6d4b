import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { lstatSync, readlinkSync } from 'node:fs';
import type { Writable } from 'node:stream';
import { seccompProgram } from '../base/seccomp-filter.js';

/** What a confined process may see and do. */
export interface Confinement {
  /** A real, absolute path: the only directory that can be written to. It is found under the same path. */
  readonly writable: string;
  /** Read-only besides the system's programs and libraries: where it is found → what it is. */
  readonly visible?: Readonly<Record<string, string>>;
  /** What root keeps of its rights; another user has none anyway. */
  readonly capabilities: readonly string[];
  /** Where it is started; default the root. */
  readonly directory?: string;
}

/** Programs and libraries, and nothing that belongs to one machine: no /etc, /home, /var, /proc, /dev. */
const SYSTEM = [
  ...[
    '/usr/bin',
    '/usr/sbin',
    '/usr/lib',
    '/usr/lib32',
    '/usr/lib64',
    '/usr/libexec',
    '/usr/share/perl',
    '/usr/share/perl5',
  ],
  ...['/usr/local/bin', '/usr/local/lib', '/bin', '/sbin', '/lib', '/lib32', '/lib64'],
  ...['/etc/ld.so.cache', '/nix/store', '/gnu/store'],
];

const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
const SECCOMP_FD = 3;

/**
 * The arguments of bwrap(1) before the command. Processes, network (abstract sockets too) and System V IPC are namespaces of its own; mounts and devices
 * are out of reach with the capabilities, and what namespaces do not cover (keyrings, kernel programs, new namespaces) is denied by a
 * filter of system calls, which bwrap reads from descriptor 3. Without /proc and /dev nothing in them has to be protected.
 */
export function confinementArguments({
  writable,
  visible = {},
  capabilities,
  directory = '/',
}: Confinement): readonly string[] {
  return [
    ...['--unshare-ipc', '--unshare-pid', '--unshare-net', '--unshare-uts', '--unshare-cgroup-try'],
    ...['--die-with-parent', '--new-session', '--seccomp', String(SECCOMP_FD), '--cap-drop', 'ALL'],
    ...capabilities.flatMap((capability) => ['--cap-add', capability]),
    ...SYSTEM.flatMap(systemPath),
    ...Object.entries(visible).flatMap(([place, source]) => ['--ro-bind', source, place]),
    ...['--bind', writable, writable, '--remount-ro', '/', '--chdir', directory],
  ];
}

/**
 * Starts a program confined, with pipes for its standard streams, which are the only descriptors that it gets. It ends when this process ends.
 * The caller handles `error` (bwrap is not installed) and an early end (it may not be used here).
 */
export function spawnConfined(confinement: Confinement, command: readonly string[]): ChildProcessWithoutNullStreams {
  const child = spawn('bwrap', [...confinementArguments(confinement), '--', ...command], {
    cwd: '/',
    env: { PATH: process.env.PATH ?? PATH, LC_ALL: 'C' },
    stdio: ['pipe', 'pipe', 'pipe', 'pipe'],
  });
  const filter = child.stdio[SECCOMP_FD] as Writable | null | undefined;
  filter?.on('error', () => {}).end(seccompProgram());
  return child;
}

function systemPath(path: string): readonly string[] {
  const stats = lstatSync(path, { throwIfNoEntry: false });
  if (stats === undefined) return [];
  return stats.isSymbolicLink() ? ['--symlink', readlinkSync(path), path] : ['--ro-bind', path, path];
}

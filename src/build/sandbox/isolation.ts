import { SlipwayError } from '../../base/errors.js';
import type { Isolation } from './sandbox-request.js';

/** Where a bare shell name (`SHELL ["bash", "-c"]`) is looked for in a rootfs. */
const SHELL_DIRECTORIES = ['/usr/local/sbin', '/usr/local/bin', '/usr/sbin', '/usr/bin', '/sbin', '/bin'];

/**
 * Decides where a RUN command runs. Most ClusterImages have no shell of their own, so `auto` means the container when the
 * merged rootfs has the wanted shell, else the machine.
 * @param wanted what `--isolation` says
 * @param shell the shell (or exec form command) that RUN will start; its first word is looked for
 * @param hasFile whether the merged rootfs has a program at this absolute path; it follows links inside the rootfs
 * @throws SlipwayError E_NOT_FOUND when `container` is asked for and the rootfs has no such program
 */
export function chooseIsolation(
  wanted: 'auto' | Isolation,
  shell: readonly string[],
  hasFile: (path: string) => boolean,
): Isolation {
  if (wanted === 'host') return 'host';
  const program = shell[0] ?? '';
  const candidates = program.startsWith('/')
    ? [program]
    : SHELL_DIRECTORIES.map((directory) => `${directory}/${program}`);
  if (program !== '' && candidates.some(hasFile)) return 'container';
  if (wanted === 'auto') return 'host';
  throw new SlipwayError('E_NOT_FOUND', `RUN cannot use container isolation: the rootfs has no ${program || 'shell'}`, {
    hint: 'use --isolation=host to run with the tools of this machine, or COPY a static busybox to bin/sh first',
  });
}

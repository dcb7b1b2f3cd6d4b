/** A fork bomb ends here; no build needs so many. */
const MOST_PROCESSES = 8192;

/**
 * How many processes a sandbox may have at once, by the kernel.pid_max of its pid namespace. Before Linux 6.14 that number was one for the whole
 * machine (kernel commit 7863dcc72d0f), which is not ours to change.
 * @param release of the kernel, as `uname -r` has it. @returns 0 for no limit
 */
export function processLimit(release: string): number {
  const [, major = '0', minor = '0'] = /^(\d+)\.(\d+)/.exec(release) ?? [];
  const hasOwn = Number(major) > 6 || (Number(major) === 6 && Number(minor) >= 14);
  return hasOwn ? MOST_PROCESSES : 0;
}

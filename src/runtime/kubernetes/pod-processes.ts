/**
 * Shell: `ours PID`, whether a process is of this host itself. Those of containers are not: a cluster of kind or k3d inside Docker has
 * programs, shims and pods of the same names.
 */
export const OURS = `here=$(readlink /proc/self/ns/pid)
ours() { [ "$(readlink "/proc/$1/ns/pid")" = "$here" ]; }`;

/** Where kubelet keeps the control groups of pods, with cgroups of either version: at the root. Those further down are of clusters inside containers. */
const PODS = '/sys/fs/cgroup/\\([^/]*/\\)?kubepods[^/]*';

/** Shell: ends what is left of pods on this host, and removes their control groups. */
export const KILL_PODS = `for _ in 1 2 3 4 5; do
  pids=$(find /sys/fs/cgroup -regex '${PODS}\\(/.*\\)?/cgroup\\.procs' -exec cat {} + 2>/dev/null | sort -u)
  [ -n "$pids" ] || break
  for p in $pids; do kill -9 "$p" 2>/dev/null; done
  sleep 0.2
done
find /sys/fs/cgroup -depth -type d -regex '${PODS}\\(/.*\\)?' -exec rmdir {} + 2>/dev/null`;

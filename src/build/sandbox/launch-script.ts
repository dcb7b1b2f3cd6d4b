/**
 * The shell (POSIX) that stands between us and bwrap or runc. It gives three things that neither does alone:
 *
 * 1. Whatever happens, nothing stays behind. Everything runs in a pid namespace whose first process has `unshare` as its
 *    parent; `unshare` ends only when the kernel has ended the last process of the namespace, daemons too. If slipway is killed, the parent
 *    death signal kills `unshare`, and so the namespace.
 * 2. A mount namespace for what must not be seen outside: secrets and device nodes live in a tmpfs that vanishes with it,
 *    and so do the overlay's extra references and runc's state.
 * 3. No descriptor of ours that leads outside: standard input is a file of the run, not the machine's /dev/null (whose
 *    mode root could change through it).
 */

/**
 * Arguments: our pid, then script and arguments of {@link INNER_SCRIPT}. `setpriv --pdeathsig` has run before it; comparing
 * the parent closes the moment in which slipway may have died before that. What `unshare` itself has to say goes to a file: it
 * complains about a child that was killed.
 */
export const OUTER_SCRIPT = outerScript('');

/** The same in a user namespace: cgroup file systems can be mounted there only in a cgroup namespace that belongs to it. */
export const NAMESPACE_OUTER_SCRIPT = outerScript('--cgroup ');

/** The same for a user who is not root: inside a user namespace in which that user is root. */
export const ROOTLESS_OUTER_SCRIPT = outerScript('--user --map-root-user ');

function outerScript(flags: string): string {
  return `
[ "$PPID" = "$1" ] || exit 125
shift
script=$1
shift
exec unshare ${flags}--mount --pid --fork --kill-child -- /bin/sh -c "$script" sandbox "$$" "$@" 7>&2 2>"$1/unshare.log"
`;
}

/**
 * Comparing the parent again closes the moment before `--kill-child` works. As long as the pid is not written nothing else
 * has been started.
 */
const PREPARE = `
exec 2>&7 7>&-
set -eu
umask 022
outer=$1 run=$2 most=$3
shift 3
# The old /proc still shows the pids that slipway sees.
read -r pid name state parent rest </proc/self/stat
[ "$parent" = "$outer" ] || {
  echo "sandbox: started by process $parent, not $outer; /proc must show the processes of this pid namespace" >&2
  exit 125
}
printf '%s\\n' "$pid" >"$run/pid"
mount -t tmpfs -o mode=0755,nosuid,noexec slipway "$run/private"
mkdir "$run/private/dev" "$run/private/bundle"
# Nodes of our own: changing the mode of a bound /dev/null would change the machine's. In a user namespace nodes cannot be
# made, and the machine's are not ours to change either.
node() {
  mknod -m 666 "$run/private/dev/$1" c "$2" "$3" 2>/dev/null || {
    : >"$run/private/dev/$1"
    mount --bind "/dev/$1" "$run/private/dev/$1"
  }
}
node null 1 3
node zero 1 5
node full 1 7
node random 1 8
node urandom 1 9
node tty 5 0
while [ "$1" = file ]; do
  # name mode uid gid size; the file is closed until it has its owner
  (umask 077 && head -c "$6" <&3 >"$run/private/$2")
  [ "$4:$5" = 0:0 ] || chown "$4:$5" "$run/private/$2"
  chmod "$3" "$run/private/$2"
  shift 6
done
exec 3<&-
mount -t proc proc /proc
# Of this pid namespace and those in it, once the kernel keeps the number for each of them.
[ "$most" = 0 ] || echo "$most" >/proc/sys/kernel/pid_max || :
exec <"$run/stdin"
`;

/**
 * Arguments: pid of the outer shell, run directory, the most processes at once (0: no limit), then `file NAME MODE UID GID SIZE` for each file that is to be in memory, whose contents
 * come one after the other through descriptor 3, then `--` and bwrap with its arguments. bwrap finds its status file, arguments and seccomp
 * program at descriptors 4, 5 and 6, and closes them. Its arguments hold the environment, which may hold a secret.
 */
export const BWRAP_SCRIPT = `${PREPARE}
shift
exec "$@" 4>"$run/status" 5<"$run/private/arguments" 6<"$run/seccomp"
`;

/**
 * As {@link BWRAP_SCRIPT}, for runc. It insists on a cgroup hierarchy to look at, and as root makes a group in every one, which a
 * killed run would leave behind. Before a read-only, unified one it does without (with --rootless=true), whatever the machine
 * has: version 1, 2, both, delegated or not.
 */
export const RUNC_SCRIPT = `${PREPARE}
shift
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount -o remount,bind,ro /sys/fs/cgroup
mkdir -m 0700 "$run/private/runc"
exec "$@"
`;

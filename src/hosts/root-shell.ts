import { shellQuote } from './shell-script.js';

/*
 * How a script gets to a root shell. The command line is constant text (these constants, in single quotes, so without
 * single quotes, backslashes, exclamation marks and line ends: the login shell may be fish or csh); everything else
 * travels on standard input, in this order:
 *   1. with a sudo password: the password and a line end, which `sudo -S` reads byte by byte;
 *   2. the header line `slipway DIRECTORY ID LENGTH STDIN`;
 *   3. LENGTH bytes of script, the last line of which is SCRIPT_END;
 *   4. the standard input of the script, when STDIN is 1.
 */

/** Printed on stdout when the root shell runs, before anything else of ours: what came before is a login shell's noise. */
export const BEGIN = 'slipway-begin';

/** What sudo asks with. Seen twice, the password was wrong. */
export const SUDO_PROMPT = '[slipway-sudo]';

/*
 * The reader. `read` takes a line without touching what follows (POSIX demands it of shells). `dd iflag=fullblock` reads
 * exactly LENGTH bytes, in coreutils and in busybox; `head -c` of busybox takes more from a pipe than it gives.
 * Lines before the header are skipped: a password that sudo turned out not to want must not reach the script.
 * The session id (fifth word after the name in /proc/PID/stat, proc(5)) goes to DIRECTORY/ID so that the keeper can end
 * every process of the command; the file is emptied when the command has ended.
 */
const READER = [
  `echo ${BEGIN}`,
  'while IFS= read -r h; do case $h in "slipway "*) break ;; esac; done',
  'set -- $h',
  'd=$2 i=$3 n=$4 t=$5',
  '[ "$n" ] || exit 125',
  'read -r l </proc/$$/stat',
  'set -- ${l##*) }',
  '[ $d = - ] || echo $4 >$d/$i || exit 125',
  '[ -e $d/$i.stop ] && exit 143',
  's=$(dd bs=$n count=1 iflag=fullblock 2>/dev/null)',
  'case $s in *"#slipway-end") ;; *) echo "the script did not arrive whole" >&2; exit 125 ;; esac',
  '[ $t = 1 ] || exec </dev/null',
  'umask 022',
  '( set --; eval "unset h d i n t l s; ${s%#slipway-end}" )',
  'r=$?',
  '[ $d = - ] || : >$d/$i',
  'exit $r',
].join('; ');

/** How the login user becomes root, found out once per connection. */
export type Elevation = 'root' | 'sudo' | 'sudo-password';

const COMMANDS: Readonly<Record<Elevation, string>> = {
  root: `exec sh -c ${shellQuote(READER)}`,
  sudo: `exec sudo -n -H sh -c ${shellQuote(READER)}`,
  // -k: cached credentials are ignored, so that sudo reads the password in every case
  'sudo-password': `exec sudo -k -S -H -p ${shellQuote(SUDO_PROMPT)} sh -c ${shellQuote(READER)}`,
};

/** The command line that runs a script as root, once it is known how. */
export function rootCommand(elevation: Elevation): string {
  return COMMANDS[elevation];
}

/** The command line that finds out: root already, or sudo, which may print {@link SUDO_PROMPT} on stderr. */
export const FIRST_COMMAND =
  `exec sh -c 'if [ "$(id -u)" = 0 ]; then exec sh -c "$0"; fi; exec sudo -k -S -H -p "$1" sh -c "$0"'` +
  ` ${shellQuote(READER)} ${shellQuote(SUDO_PROMPT)}`;

/** The header line before a script. `run`: where the command registers; the keeper itself registers nowhere. */
export function header(
  run: { readonly directory: string; readonly id: number } | undefined,
  length: number,
  stdin: boolean,
): string {
  return `slipway ${run?.directory ?? '-'} ${run?.id ?? '-'} ${length} ${stdin ? 1 : 0}\n`;
}

/** Seconds without a ping after which the keeper holds the connection for dead (at least this, at most twice this). */
export const KEEPER_PATIENCE = 30;

/*
 * The keeper: one per connection. It makes the directory where commands register, ends a command when told (`stop ID`),
 * and ends all of them when the connection is gone: at once when its standard input ends, after 30 to 60 seconds
 * without a `ping` when a cable was pulled and nobody told sshd. Ending is TERM, and KILL after five seconds, for every
 * process of the command's session: unlike a process group that takes in what timeout(1) or a shell's job control
 * started, and unlike a parent's children what was left behind; a daemon that made its own session is left alone.
 */
export const KEEPER = `
directory=$(mktemp -d /run/slipway.XXXXXXXXXX 2>/dev/null || mktemp -d /tmp/slipway.XXXXXXXXXX) || exit 1

# end SIGNAL SESSION: signals every process of the session; true when there was one
end() {
  found=1
  for entry in /proc/[0-9]*/stat; do
    read -r line <"$entry" || continue
    signal=$1 session=$2
    set -- \${line##*) }
    [ "$4" = "$session" ] && [ "$1" != Z ] && pid=\${entry#/proc/} && kill -$signal "\${pid%/stat}" && found=0
    set -- "$signal" "$session"
  done 2>/dev/null
  return $found
}

# stop SESSION: TERM, then KILL what is left after five seconds. All are halted first: a shell that sees its child die
# before its own turn comes would go on with the next command. Twice, for what was forked meanwhile.
stop() {
  end STOP "$1" || return 0
  end STOP "$1"
  end TERM "$1"
  end CONT "$1"
  tries=0
  while [ $tries -lt 25 ] && sleep 0.2; do
    end 0 "$1" || return 0
    tries=$((tries + 1))
  done
  end KILL "$1"
}

finish() {
  trap '' TERM HUP INT PIPE
  for file in "$directory"/*; do
    case $file in *.stop | */alive) continue ;; esac
    session=
    read -r session <"$file"
    [ -n "$session" ] && stop "$session" &
  done 2>/dev/null
  kill "$watchdog" 2>/dev/null
  wait
  rm -rf "$directory"
  exit 0
}

: >"$directory/alive"
(
  trap 'kill $! 2>/dev/null; exit' TERM
  while sleep ${KEEPER_PATIENCE} & wait $!; do
    if [ ! -e "$directory/alive" ]; then kill -TERM $$; exit; fi
    rm -f "$directory/alive"
  done
) </dev/null >/dev/null 2>&1 &
watchdog=$!
trap finish TERM HUP INT PIPE

if [ -n "$SUDO_USER" ]; then how=sudo; else how=root; fi
echo "slipway-keeper $(id -u) $how $directory"
while read -r verb id; do
  case $verb in
    ping) : >"$directory/alive" ;;
    stop)
      : >"$directory/$id.stop"
      session=
      { read -r session <"$directory/$id"; } 2>/dev/null
      [ -n "$session" ] && stop "$session" &
      ;;
  esac
done
finish
`;

/** The line in which the keeper says that it is there. */
export const KEEPER_READY = /^slipway-keeper (\d+) (root|sudo) (\/(?:run|tmp)\/slipway\.[A-Za-z0-9]+)$/m;

import { type CompletedCommand, HOSTS_AWK, PLACES, type Source } from './commands.js';

const IMAGES = "(slipway (__slipway_root) images 2>/dev/null | awk 'NR>1 {print \\$1}')";
const MOUNTS = "(slipway (__slipway_root) mount 2>/dev/null | awk -F '   +' 'NR>1 {print \\$2; print \\$1}')";

const CLUSTERS = '(slipway (__slipway_root) status --list -q 2>/dev/null)';

/** A script for fish. */
export function fishScript(commands: readonly CompletedCommand[]): string {
  const lines = commands.flatMap((command) => [
    ...(command.name.includes(' ')
      ? []
      : [
          `complete -c slipway -n __fish_use_subcommand -f -a ${command.name} -d '${command.summary.replaceAll("'", "\\'")}'`,
        ]),
    ...command.flags.map((flag) => flagLine(command, flag)),
    ...argumentLines(command),
  ]);
  return `# fish completion for slipway
function __slipway_root
  set -l words (commandline -opc)
  for at in (seq (count $words))
    switch $words[$at]
      case --root
        set -l next (math $at + 1)
        test $next -le (count $words); and printf '%s\\n' --root $words[$next]
      case '--root=*'
        printf '%s\\n' $words[$at]
    end
  end
end
function __slipway_hosts
  slipway (__slipway_root) status --list --json 2>/dev/null | awk -F'"' -v masters=$argv[1] '${HOSTS_AWK}'
end
${lines.join('\n')}`;
}

/** When the words of the command stand there. */
function condition({ name, aliases }: CompletedCommand): string {
  const [first = '', second] = name.split(' ');
  const seen = `__fish_seen_subcommand_from ${[first, ...(second === undefined ? aliases : [])].join(' ')}`;
  return `'${seen}${second === undefined ? '' : `; and __fish_seen_subcommand_from ${second}`}'`;
}

function flagLine(command: CompletedCommand, flag: string): string {
  const source = command.values.find(([name]) => name === flag)?.[1];
  const line = `complete -c slipway -n ${condition(command)} -l ${flag.slice(2)}`;
  if (source === undefined) return line;
  return source === 'file' ? `${line} -r -F` : `${line} -x${sourceText(source)}`;
}

function argumentLines(command: CompletedCommand): readonly string[] {
  const { argument } = command;
  if (argument === 'file') return [];
  const files = argument === 'place' ? '' : ' -f';
  return [`complete -c slipway -n ${condition(command)}${files}${sourceText(argument)}`];
}

function sourceText(source: Source): string {
  if (typeof source !== 'string') return source.length === 0 ? '' : ` -a '${source.join(' ')}'`;
  switch (source) {
    case 'image':
      return ` -a "${IMAGES}"`;
    case 'cluster':
      return ` -a "${CLUSTERS}"`;
    case 'master':
      return ' -a "(__slipway_hosts 1)"';
    case 'worker':
      return ' -a "(__slipway_hosts 0)"';
    case 'mount':
      return ` -a "${MOUNTS}"`;
    case 'place':
      return ` -a "${PLACES.join(' ')} ${IMAGES}"`;
    default:
      return ' -a "(__fish_complete_directories)"';
  }
}

import { Argument, type Command } from 'commander';
import { SlipwayError } from '../base/errors.js';
import { action, addGlobalFlags, examples } from './action.js';
import type { CommandEntry } from './command-entry.js';
import { createProgram } from './program.js';

const SHELLS = ['bash', 'zsh', 'fish'] as const;
type Shell = (typeof SHELLS)[number];
/** Prints the names of the clusters that are known, each on a line. */
const CLUSTERS = 'slipway status --list -q 2>/dev/null';
const PLACES = ['docker://', 'oci:', 'oci-archive:', 'docker-archive:', 'store:'];

export function define(program: Command, all: readonly CommandEntry[]): void {
  addGlobalFlags(program.command('completion'))
    .description('Print a script that completes commands, flags and image names in a shell.')
    .addArgument(new Argument('<shell>', 'which shell').choices(SHELLS))
    .addHelpText(
      'after',
      examples(
        ['slipway completion bash > /etc/bash_completion.d/slipway', 'for every bash'],
        ['source <(slipway completion bash)', 'for this one'],
        ['slipway completion zsh > "${fpath[1]}/_slipway"', 'for zsh'],
        ['slipway completion fish > ~/.config/fish/completions/slipway.fish', 'for fish'],
      ),
    )
    .action(
      action(async (context, _flags, shell: Shell) => {
        const commands = await allCommands(all);
        const script = { bash: bashScript, zsh: zshScript, fish: fishScript }[shell];
        if (script === undefined) throw new SlipwayError('E_USAGE', `no completion for ${shell}`);
        context.out.line(script(commands));
      }),
    );
}

interface CompletedCommand {
  readonly name: string;
  readonly summary: string;
  readonly flags: readonly string[];
  /** The first argument is an image of the store. */
  readonly takesImage: boolean;
  /** Words that a flag, or the first argument, chooses from: `--progress` → auto, tty … */
  readonly choices: ReadonlyMap<string, readonly string[]>;
  /** What else the first argument may be: the names of its own commands, or of choices. */
  readonly words: readonly string[];
  /** What a place that images are copied between begins with; empty for a command that takes none. */
  readonly places: readonly string[];
}

/** What there is to complete, read from the commands themselves. */
async function allCommands(all: readonly CommandEntry[]): Promise<CompletedCommand[]> {
  const program = createProgram();
  for (const { load } of all) (await load()).define(program, all);
  return program.commands.map((command) => ({
    name: command.name(),
    summary: all.find(({ names }) => names[0] === command.name())?.summary ?? '',
    flags: command.options.flatMap(({ long }) => (long ? [long] : [])).concat('--help'),
    takesImage: /^(?:images?|source)$/.test(command.registeredArguments[0]?.name() ?? ''),
    choices: new Map(
      command.options.flatMap(({ long, argChoices }) => (long && argChoices ? [[long, argChoices] as const] : [])),
    ),
    words: [...command.commands.map((sub) => sub.name()), ...(command.registeredArguments[0]?.argChoices ?? [])],
    places: command.registeredArguments[0]?.name() === 'source' ? PLACES : [],
  }));
}

function bashScript(commands: readonly CompletedCommand[]): string {
  const cases = commands.map(
    ({ name, flags, takesImage, words, places }) =>
      `    ${name}) flags="${flags.join(' ')}"; images=${takesImage ? 1 : 0}; words="${words.join(' ')}"; places="${places.join(' ')}" ;;`,
  );
  const values = commands.flatMap(({ name, choices }) =>
    [...choices].map(
      ([flag, list]) => `    "${name} ${flag}") COMPREPLY=($(compgen -W "${list.join(' ')}" -- "$word")); return ;;`,
    ),
  );
  return `# bash completion for slipway
_slipway() {
  local word=\${COMP_WORDS[COMP_CWORD]} flags= images=0 words= places=
  if [ "$COMP_CWORD" -eq 1 ]; then
    COMPREPLY=($(compgen -W "${commands.map(({ name }) => name).join(' ')}" -- "$word"))
    return
  fi
  case \${COMP_WORDS[1]} in
${cases.join('\n')}
  esac
  case "\${COMP_WORDS[1]} \${COMP_WORDS[COMP_CWORD-1]}" in
${values.join('\n')}
  esac
  if [ "\${COMP_WORDS[COMP_CWORD-1]}" = --cluster ]; then COMPREPLY=($(compgen -W "$(${CLUSTERS})" -- "$word")); return; fi
  if [ -n "$words" ] && [[ $word != -* ]]; then COMPREPLY=($(compgen -W "$words" -- "$word")); return; fi
  if [[ $word == -* ]]; then COMPREPLY=($(compgen -W "$flags" -- "$word")); return; fi
  if [ -n "$places" ]; then
    compopt -o nospace 2>/dev/null
    # a colon ends a word for bash: what follows "oci:" is completed as a file
    if [ "$word" = : ] || [ "\${COMP_WORDS[COMP_CWORD-1]}" = : ]; then COMPREPLY=($(compgen -f -- "\${word#:}")); return; fi
  fi
  if [ "$images" = 1 ]; then
    COMPREPLY=($(compgen -W "$places $(slipway images 2>/dev/null | awk 'NR>1 {print $1}')" -- "$word"))
    __ltrim_colon_completions "$word" 2>/dev/null
    return
  fi
  COMPREPLY=($(compgen -f -- "$word"))
}
complete -F _slipway slipway`;
}

function zshScript(commands: readonly CompletedCommand[]): string {
  const list = commands.map(
    ({ name, summary }) => `    '${name}:${summary.replaceAll("'", "'\\''").replaceAll(':', '\\:')}'`,
  );
  const cases = commands.map(
    ({ name, flags, takesImage, places }) =>
      `    ${name}) compadd -- ${flags.join(' ')}${places.length > 0 ? `; compadd -S '' -- ${places.join(' ')}` : ''}${takesImage ? '; compadd -- ${(f)"$(slipway images 2>/dev/null | awk \'NR>1 {print $1}\')"}' : ''}; _files ;;`,
  );
  return `#compdef slipway
_slipway() {
  local -a commands=(
${list.join('\n')}
  )
  if (( CURRENT == 2 )); then _describe command commands; return; fi
  if [[ $words[CURRENT-1] == --cluster ]]; then compadd -- \${(f)"$(${CLUSTERS})"}; return; fi
  case $words[2] in
${cases.join('\n')}
  esac
}
_slipway "$@"`;
}

function fishScript(commands: readonly CompletedCommand[]): string {
  const lines = commands.flatMap(({ name, summary, flags, takesImage, places }) => [
    `complete -c slipway -n __fish_use_subcommand -f -a ${name} -d '${summary.replaceAll("'", "\\'")}'`,
    ...flags.map((flag) => `complete -c slipway -n '__fish_seen_subcommand_from ${name}' -l ${flag.slice(2)}`),
    ...(flags.includes('--cluster')
      ? [`complete -c slipway -n '__fish_seen_subcommand_from ${name}' -l cluster -x -a "(${CLUSTERS})"`]
      : []),
    ...(places.length > 0
      ? [`complete -c slipway -n '__fish_seen_subcommand_from ${name}' -a '${places.join(' ')}'`]
      : []),
    ...(takesImage
      ? [
          `complete -c slipway -n '__fish_seen_subcommand_from ${name}' ${places.length > 0 ? '' : '-f '}-a "(slipway images 2>/dev/null | awk 'NR>1 {print \\$1}')"`,
        ]
      : []),
  ]);
  return `# fish completion for slipway\n${lines.join('\n')}`;
}

import type { Command, Option } from 'commander';
import type { CommandEntry } from '../command-entry.js';
import { createFullProgram } from '../full-program.js';

/** What the value of a flag, or an argument, can be completed from. */
export type Source =
  | 'file'
  | 'directory'
  | 'image'
  | 'mount'
  | 'cluster'
  | 'master'
  | 'worker'
  | 'place'
  | readonly string[];

/** What there is to complete of one command. */
export interface CompletedCommand {
  /** As it is written: `save`, `store check`. */
  readonly name: string;
  /** Its other names. */
  readonly aliases: readonly string[];
  readonly summary: string;
  /** Long ones, with their dashes. */
  readonly flags: readonly string[];
  /** Flags that take a value, short ones too. */
  readonly values: readonly (readonly [flag: string, source: Source])[];
  /** The first argument. */
  readonly argument: Source;
}

/** Read from the commands themselves, those of groups (`store check`) after their group. */
export async function completedCommands(all: readonly CommandEntry[]): Promise<CompletedCommand[]> {
  const program = await createFullProgram(all);
  const listed = program.commands.flatMap((command) => {
    const summary = all.find(({ names }) => names[0] === command.name())?.summary ?? '';
    const subs = command.commands.map((sub) =>
      completed(sub, `${command.name()} ${sub.name()}`, sub.description().split('. ', 1)[0] ?? ''),
    );
    return [completed(command, command.name(), summary), ...subs];
  });
  const names = program.commands.map((command) => command.name());
  return [
    ...listed,
    { name: 'help', aliases: [], summary: 'Show the help of a command.', flags: [], values: [], argument: names },
  ];
}

function completed(command: Command, name: string, summary: string): CompletedCommand {
  const options = command.options.filter(({ hidden }) => !hidden);
  return {
    name,
    aliases: command.aliases(),
    summary,
    flags: options.flatMap(({ long }) => (long ? [long] : [])).concat('--help'),
    values: options
      .filter(({ required, optional }) => required || optional)
      .flatMap((option) =>
        [option.long, option.short].flatMap((flag) => (flag ? [[flag, valuesOf(option, name)] as const] : [])),
      ),
    argument: argumentOf(command),
  };
}

function valuesOf({ argChoices, flags, long }: Option, command: string): Source {
  if (argChoices !== undefined) return argChoices;
  // Of other commands these are hosts that nobody knows yet.
  if (command === 'delete' && long === '--masters') return 'master';
  if (command === 'delete' && long === '--nodes') return 'worker';
  if (long === '--cluster') return 'cluster';
  const placeholder = /[<[]([^>\]]*)[>\]]/.exec(flags)?.[1] ?? '';
  if (/^dir/.test(placeholder)) return 'directory';
  if (placeholder === 'image') return 'image';
  return placeholder.includes('file') || placeholder.includes('path') ? 'file' : [];
}

function argumentOf(command: Command): Source {
  if (command.commands.length > 0) return command.commands.map((sub) => sub.name());
  const [argument] = command.registeredArguments;
  if (argument?.argChoices !== undefined) return argument.argChoices;
  const name = argument?.name() ?? '';
  if (name === 'source') return 'place';
  if (command.name() === 'umount') return 'mount';
  return /^images?$/.test(name) ? 'image' : 'file';
}

/** What a place that images are copied between begins with. */
export const PLACES: readonly string[] = ['docker://', 'oci:', 'oci-archive:', 'docker-archive:', 'store:'];

/**
 * A program for awk, with `"` between fields, that reads what `slipway status --list --json` prints: addresses of the masters of all clusters when
 * the variable `masters` is 1, of their other hosts when it is 0.
 */
export const HOSTS_AWK =
  '/"address":/ {at=$4} at != "" && /^ *"master",?$/ {master=1} at != "" && /^ *],?$/ {if (master+0 == masters && !shown[at]++) print at; at=""; master=0}';

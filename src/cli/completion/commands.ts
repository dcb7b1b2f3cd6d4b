import type { Command, Option } from 'commander';
import type { CommandEntry } from '../command-entry.js';
import { createProgram } from '../program.js';

/** What the value of a flag, or an argument, can be completed from. */
export type Source = 'file' | 'directory' | 'image' | 'mount' | 'cluster' | 'place' | readonly string[];

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
  const program = createProgram();
  for (const { load } of all) (await load()).define(program, all);
  return program.commands.flatMap((command) => {
    const summary = all.find(({ names }) => names[0] === command.name())?.summary ?? '';
    const subs = command.commands.map((sub) =>
      completed(sub, `${command.name()} ${sub.name()}`, sub.description().split('. ', 1)[0] ?? ''),
    );
    return [completed(command, command.name(), summary), ...subs];
  });
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
        [option.long, option.short].flatMap((flag) => (flag ? [[flag, valuesOf(option)] as const] : [])),
      ),
    argument: argumentOf(command),
  };
}

function valuesOf({ argChoices, flags, long }: Option): Source {
  if (argChoices !== undefined) return argChoices;
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

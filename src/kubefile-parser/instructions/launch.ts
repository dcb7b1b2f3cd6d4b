import type {
  CmdInstruction,
  CmdsInstruction,
  EntrypointInstruction,
  LaunchInstruction,
  ShellInstruction,
} from '../ast.js';
import { readFlags } from '../flags.js';
import { literalOf, type StatementReader, shown } from '../statement-reader.js';
import { node } from './node.js';

/**
 * `CMD COMMAND`: all of the line is one command, as in Docker and in sealer since 0.9. Older sealer parted it at commas: a
 * comma that could be meant so is warned about.
 */
export function parseCmd(reader: StatementReader): CmdInstruction | undefined {
  readFlags(reader, {});
  const command = reader.command();
  if (command === undefined) return undefined;
  if (command.form === 'exec' && command.args.length === 0 && reader.dialect === 'kubefile')
    return reader.missingCommand();
  if (command.form === 'shell' && reader.dialect === 'kubefile') {
    const comma = commaBetweenCommands(command.text);
    if (comma >= 0)
      reader.warn(
        'comma-separated-cmd',
        reader.statement.argsStart + comma,
        'this comma is part of the command: CMD is one command',
        'write a CMD for each command; put quotes around the comma if it is meant',
      );
  }
  return { ...node('CMD', reader), command };
}

/** `CMDS ["a", "b"]`: commands for the shell. */
export function parseCmds(reader: StatementReader): CmdsInstruction | undefined {
  readFlags(reader, {});
  const commands = jsonOnly(reader, reader.statement.argsStart, 'write CMDS ["command", "command"]');
  return commands === undefined ? undefined : { ...node('CMDS', reader), commands };
}

/** `LAUNCH app…` or `LAUNCH ["app", …]`. */
export function parseLaunch(reader: StatementReader): LaunchInstruction | undefined {
  readFlags(reader, {});
  const json = reader.json();
  if (json === undefined) return undefined;
  let names: readonly string[];
  if (json !== 'none') names = json.map(({ value }) => value);
  else {
    const words = reader.words();
    if (words === undefined) return undefined;
    const variable = words.find(({ raw }) => literalOf(raw, reader.escape) === undefined);
    if (variable !== undefined)
      return reader.problem(
        variable.start,
        `LAUNCH takes no variables: ${shown(variable)}`,
        'write the name of the application',
      );
    names = words.map(({ raw }) => literalOf(raw, reader.escape) ?? raw);
  }
  const apps = names.map((name) => name.trim());
  if (apps.length === 0 || apps.includes(''))
    return reader.missing('the names of applications', 'write LAUNCH ["app", "app"]');
  return { ...node('LAUNCH', reader), apps };
}

/** `ENTRYPOINT COMMAND`. */
export function parseEntrypoint(reader: StatementReader): EntrypointInstruction | undefined {
  readFlags(reader, {});
  const command = reader.command();
  return command === undefined ? undefined : { ...node('ENTRYPOINT', reader), command };
}

/** `SHELL ["shell", "option"]`. */
export function parseShell(reader: StatementReader): ShellInstruction | undefined {
  readFlags(reader, {});
  const shell = jsonOnly(reader, reader.statement.argsStart, 'write SHELL ["/bin/sh", "-c"]');
  return shell === undefined ? undefined : { ...node('SHELL', reader), shell };
}

/** The strings of an array that cannot be written in any other way. */
export function jsonOnly(reader: StatementReader, from: number, form: string): readonly string[] | undefined {
  if (reader.statement.argsEnd <= from) return reader.missing('a JSON array', form);
  const json = reader.json(from, false);
  if (json === undefined) return undefined;
  if (json === 'none') return reader.problem(from, `${reader.keyword} takes only a JSON array of strings`, form);
  if (json.length === 0) return reader.problem(from, 'the array is empty', form);
  return json.map(({ value }) => value);
}

/** Offset of the first comma outside quotes that a blank follows; -1 when there is none. */
function commaBetweenCommands(text: string): number {
  let open = '';
  for (let offset = 0; offset < text.length; offset++) {
    const character = text[offset] as string;
    if (character === '\\' && open !== "'") offset++;
    else if (open !== '') open = character === open ? '' : open;
    else if (character === '"' || character === "'") open = character;
    else if (character === ',' && text[offset + 1] === ' ') return offset;
  }
  return -1;
}

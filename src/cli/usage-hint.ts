import { type Command, CommanderError } from 'commander';

/** What ends the program without anything being wrong: help and the version. */
const NO_MISTAKE = /^commander\.(?:help|version)/;

/**
 * Where to read how the command is called, for a mistake that commander has told already without a next step.
 * @param args the command line: its words lead to the command that was meant, `registry serve`.
 * @returns undefined when `error` is no such mistake.
 */
export function usageHint(program: Command, args: readonly string[], error: unknown): string | undefined {
  if (!(error instanceof CommanderError) || NO_MISTAKE.test(error.code)) return undefined;
  const path = commandPath(program, args);
  const help = `"${['slipway', ...path, '--help'].join(' ')}"`;
  return path.length === 0 ? `${help} lists the commands` : `${help} shows its arguments and flags, with examples`;
}

function commandPath(command: Command, args: readonly string[]): readonly string[] {
  for (const [index, arg] of args.entries()) {
    const found = command.commands.find((one) => one.name() === arg || one.aliases().includes(arg));
    if (found !== undefined) return [found.name(), ...commandPath(found, args.slice(index + 1))];
  }
  return [];
}

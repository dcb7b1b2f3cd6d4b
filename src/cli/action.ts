import { type Command, Option } from 'commander';
import { withCleanup } from '../base/with-cleanup.js';
import { type CliContext, createContext, type GlobalFlags } from './context.js';
import { interruptSignal } from './interrupt.js';

/** Adds the flags that every command has. `format: false` for a command whose own `--format` means something else; `--json` stays. */
export function addGlobalFlags(command: Command, { format = true }: { readonly format?: boolean } = {}): Command {
  if (format)
    command.addOption(
      new Option('--format <format>', 'how results are printed').choices(['text', 'json']).helpGroup('Global options:'),
    );
  return command
    .addOption(
      new Option(
        '--root <dir>',
        'where images and clusters are kept (SLIPWAY_ROOT; default: /var/lib/slipway for root, else slipway in XDG_DATA_HOME or ~/.local/share)',
      ).helpGroup('Global options:'),
    )
    .addOption(new Option('--json', 'print results as JSON').helpGroup('Global options:'))
    .addOption(new Option('-q, --quiet', 'print only ids or names, and no progress').helpGroup('Global options:'))
    .addOption(
      new Option('--progress <mode>', 'how progress is shown')
        .choices(['auto', 'tty', 'plain', 'none'])
        .helpGroup('Global options:'),
    )
    .addOption(new Option('--debug', 'more detail, and a stack with an error').helpGroup('Global options:'));
}

/** Turns a function of context, arguments and flags into a commander action that opens and closes the context around it. */
export function action<Args extends readonly unknown[], Flags extends object>(
  work: (context: CliContext, flags: Flags & GlobalFlags, ...args: Args) => Promise<void>,
): (...commanderArgs: unknown[]) => Promise<void> {
  return async (...commanderArgs) => {
    // commander calls with the declared arguments, then the options, then the command itself
    const args = commanderArgs.slice(0, -2) as unknown as Args;
    // `slipway --root DIR images` and `slipway images --root DIR` are the same
    const flags = (commanderArgs.at(-1) as Command).optsWithGlobals<Flags & GlobalFlags>();
    const context = createContext(flags, interruptSignal());
    await withCleanup(
      () => work(context, flags, ...args),
      () => context.close(),
    );
  };
}

/** The examples at the end of a command's help. */
export function examples(...lines: readonly (readonly [command: string, what: string])[]): string {
  return `\nExamples:\n${lines.map(([command, what]) => `  $ ${command}\n      ${what}`).join('\n')}`;
}

/** Puts the flags that `add` gives a command under a heading of their own in its help. */
export function grouped(command: Command, heading: string, add: (command: Command) => void): Command {
  const before = new Set(command.options);
  add(command);
  for (const option of command.options) if (!before.has(option)) option.helpGroup(heading);
  return command;
}

/** Collects a flag that may be given several times. */
export function repeatable(value: string, previous: readonly string[] = []): readonly string[] {
  return [...previous, value];
}

import { Argument, type Command } from 'commander';
import { SlipwayError } from '../base/errors.js';
import { action, addGlobalFlags, examples } from './action.js';
import type { CommandEntry } from './command-entry.js';
import { bashScript } from './completion/bash.js';
import { completedCommands } from './completion/commands.js';
import { fishScript } from './completion/fish.js';
import { zshScript } from './completion/zsh.js';

const SHELLS = ['bash', 'zsh', 'fish'] as const;
type Shell = (typeof SHELLS)[number];

export function define(program: Command, all: readonly CommandEntry[]): void {
  addGlobalFlags(program.command('completion'))
    .description('Print a script that completes commands, flags, image names, mounts and files in a shell.')
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
        const script = { bash: bashScript, zsh: zshScript, fish: fishScript }[shell];
        if (script === undefined) throw new SlipwayError('E_USAGE', `no completion for ${shell}`);
        context.out.verbatim(script(await completedCommands(all)));
      }),
    );
}

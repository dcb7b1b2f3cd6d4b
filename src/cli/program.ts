import { Command, Help } from 'commander';
import { addGlobalFlags } from './action.js';
import { environmentHelp } from './environment.js';

/** The program without its commands. Errors of usage are thrown, not exited on, so that everything unfinished is tidied up. */
export function createProgram(): Command {
  const program = addGlobalFlags(new Command('slipway'))
    .description(
      'Build a whole Kubernetes cluster as one OCI image, ship it through any registry, launch it on bare hosts, offline.',
    )
    .usage('COMMAND [flags]')
    .version('', '-V, --version', 'print the version')
    .helpCommand('help [command]', 'show the help of a command')
    .showSuggestionAfterError(true)
    .configureHelp({
      sortSubcommands: false,
      commandUsage: (command) => new Help().commandUsage(command).replace('[options]', '[flags]'),
      subcommandDescription: (command) => command.summary() || (command.description().split(/(?<=\.) /, 1)[0] ?? ''),
      subcommandTerm: (command) => new Help().subcommandTerm(command).replace(' [options]', ''),
    })
    .addHelpText('after', environmentHelp())
    .addHelpText('after', '\nRun "slipway COMMAND --help" for what a command does, with examples.')
    .enablePositionalOptions()
    .exitOverride();
  return program;
}

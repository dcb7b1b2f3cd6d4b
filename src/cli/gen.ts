import type { Command } from 'commander';
import { clusterfileJsonSchema } from '../install/clusterfile/json-schema.js';
import { action, addGlobalFlags, examples } from './action.js';

export function define(program: Command): void {
  const gen = program
    .command('gen')
    .description('Print what other programs need to work with Slipway.')
    .addHelpText('after', examples(['slipway gen schema', 'the JSON schema of a Clusterfile']));
  addGlobalFlags(gen.command('schema').description('Print the JSON schema of a Clusterfile, for editors.'))
    .addHelpText(
      'after',
      examples([
        'slipway gen schema >clusterfile.schema.json',
        'then write "# yaml-language-server: $schema=clusterfile.schema.json" at the top of the Clusterfile',
      ]),
    )
    .action(action<[], object>(async ({ out }) => out.verbatim(JSON.stringify(clusterfileJsonSchema(), null, 2))));
}

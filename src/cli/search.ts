import type { Command } from 'commander';
import { SlipwayError } from '../base/errors.js';
import { searchCatalog } from '../registry/catalog.js';
import { action, addGlobalFlags, examples } from './action.js';
import { printable } from './output.js';
import { addConnectionFlags, addCredentialFlags, type RegistryFlags, registryOptions } from './registry-flags.js';

export function define(program: Command): void {
  const command = program
    .command('search')
    .description('List the repositories of a registry, where the registry tells; "slipway tags" lists what is in one.')
    .argument('<registry>', 'host[:port][/prefix]: with a prefix only what begins with it');
  addGlobalFlags(addCredentialFlags(addConnectionFlags(command)))
    .addHelpText(
      'after',
      examples(
        ['slipway search localhost:5000', 'all repositories'],
        ['slipway search registry.example.com/team/', 'those of a team'],
      ),
    )
    .action(
      action<[string], RegistryFlags>(async (context, flags, text) => {
        const slash = text.indexOf('/');
        const host = slash < 0 ? text : text.slice(0, slash);
        const prefix = slash < 0 ? '' : text.slice(slash + 1);
        if (!/[.:]/.test(host) && host !== 'localhost')
          throw new SlipwayError('E_USAGE', `${JSON.stringify(host)} is not a registry`, {
            hint: 'give host[:port][/prefix], for example localhost:5000/k8s',
          });
        const repositories = await searchCatalog(host, prefix, await registryOptions(context, flags));
        if (context.json) return context.out.json({ registry: host, repositories });
        // as other commands want them: slipway tags HOST/NAME
        for (const repository of repositories) context.out.line(printable(`${host}/${repository}`));
      }),
    );
}

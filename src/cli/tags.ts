import type { Command } from 'commander';
import { SlipwayError } from '../base/errors.js';
import { parseReference } from '../image/reference.js';
import { Repository } from '../registry/client.js';
import { action, addGlobalFlags, examples } from './action.js';
import { printable } from './output.js';
import { addConnectionFlags, addCredentialFlags, type RegistryFlags, registryOptions } from './registry-flags.js';

export function define(program: Command): void {
  const command = program
    .command('tags')
    .description('List the tags of a repository of a registry, in the order in which the registry has them.')
    .argument('<repository>', '[host[:port]/]repository');
  addGlobalFlags(addCredentialFlags(addConnectionFlags(command)))
    .addHelpText(
      'after',
      examples(
        ['slipway tags registry.example.com/k8s', 'one a line'],
        ['slipway tags localhost:5000/k8s --format json', 'for a program'],
      ),
    )
    .action(
      action<[string], RegistryFlags>(async (context, flags, text) => {
        const reference = parseReference(text);
        const { host, path, tag, digest } = reference;
        const name = host === undefined ? path : `${host}/${path}`;
        if (digest !== undefined || text === `${name}:${tag}`)
          throw new SlipwayError('E_USAGE', `${text} is one image of a repository`, { hint: `slipway tags ${name}` });
        const tags = await Repository.of(reference, await registryOptions(context, flags)).listTags();
        if (context.json) return context.out.json({ name, tags });
        for (const each of tags) context.out.line(printable(each));
      }),
    );
}

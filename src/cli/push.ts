import type { Command } from 'commander';
import { pushImage } from '../registry/push.js';
import { action, addGlobalFlags, examples } from './action.js';
import { pushLine, pushSummary } from './push-result.js';
import { addConnectionFlags, addCredentialFlags, type RegistryFlags, registryOptions } from './registry-flags.js';

export function define(program: Command): void {
  const command = program
    .command('push')
    .description('Upload an image to a registry. What the registry has already is not sent again.')
    .argument('<image>', 'a name, or the beginning of an id')
    .argument('[name]', 'where to push it to; default: its own name');
  addGlobalFlags(addCredentialFlags(addConnectionFlags(command)))
    .addHelpText(
      'after',
      examples(
        ['slipway push localhost:5000/k8s:v1', 'to the registry in its name'],
        ['slipway push k8s:v1 registry.example.com/prod/k8s:v1', 'under another name'],
      ),
    )
    .action(
      action<[string, string | undefined], RegistryFlags>(async (context, flags, image, target) => {
        const pushed = await pushImage(await context.store(), image, {
          ...(await registryOptions(context, flags)),
          to: target,
        });
        if (context.json) context.out.json(pushSummary(pushed));
        else if (context.quiet) context.out.line(pushed.descriptor.digest);
        else context.out.line(pushLine(pushed));
      }),
    );
}

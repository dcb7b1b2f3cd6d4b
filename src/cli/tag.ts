import type { Command } from 'commander';
import { SlipwayError } from '../base/errors.js';
import { parseReference } from '../image/reference.js';
import { findImage } from '../store/local-image.js';
import { action, addGlobalFlags, examples } from './action.js';

export function define(program: Command): void {
  addGlobalFlags(program.command('tag'))
    .description('Give an image another name. A name that stood for something else stands for this image from now on.')
    .argument('<image>', 'a name, or the beginning of an id')
    .argument('<name>', 'the new name')
    .addHelpText(
      'after',
      examples(['slipway tag k8s:v1 registry.example.com/k8s:v1', 'so that "slipway push" knows where it goes']),
    )
    .action(
      action(async (context, _flags, source: string, target: string) => {
        const store = await context.store();
        const { name, digest } = parseReference(target);
        if (digest !== undefined)
          throw new SlipwayError('E_USAGE', `${target}: a name that is given cannot have a digest`, {
            hint: 'write repository:tag',
          });
        const { descriptor } = await findImage(store, source);
        await store.tag(name, descriptor);
        if (context.json) context.out.json({ name, digest: descriptor.digest });
      }),
    );
}

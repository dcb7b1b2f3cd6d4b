import type { Command } from 'commander';
import { formatBytes } from '../base/format.js';
import { instructionOf, layerHistory } from '../store/describe.js';
import { readImage } from '../store/local-image.js';
import { action, addGlobalFlags, examples } from './action.js';
import { ago } from './ago.js';

export function define(program: Command): void {
  addGlobalFlags(program.command('history'))
    .description('Show how an image was made: one line for each instruction, the newest first.')
    .argument('<image>', 'a name, or the beginning of an id')
    .addHelpText('after', examples(['slipway history k8s:v1', 'the instructions and the size of what each added']))
    .action(
      action(async (context, _flags, name: string) => {
        const { config, manifest } = await readImage(await context.store(), name);
        const history = config.history ?? [];
        const complete = layerHistory(history, manifest.layers.length).every((made) => made !== undefined);
        let layer = 0;
        const rows = history.map((made) => {
          const descriptor = made.empty_layer === true || !complete ? undefined : manifest.layers[layer++];
          return {
            created: made.created ?? null,
            instruction: instructionOf(made),
            size: descriptor?.size ?? 0,
            digest: descriptor?.digest ?? null,
            comment: made.comment ?? '',
          };
        });
        rows.reverse();
        if (context.json) return context.out.json(rows);
        if (context.quiet) {
          for (const { digest } of rows) if (digest !== null) context.out.line(digest);
          return;
        }
        context.out.table([
          ['CREATED', 'SIZE', 'LAYER', 'INSTRUCTION'],
          ...rows.map(({ created, instruction, size, digest }) => [
            created === null ? '' : ago(created),
            formatBytes(size),
            digest === null ? '' : digest.slice(7, 19),
            instruction,
          ]),
        ]);
      }),
    );
}

import type { Command } from 'commander';
import { formatBytes } from '../base/format.js';
import { itemsToDrop } from '../store/prune-filter.js';
import { storeUsage } from '../store/usage.js';
import { action, addGlobalFlags, examples } from './action.js';
import { CACHE_DAYS, DAY } from './prune.js';

interface Flags {
  readonly verbose?: boolean;
}

export function define(program: Command): void {
  addGlobalFlags(program.command('du'))
    .description('Show what takes how much space in the store, and what "slipway prune" would free.')
    .option('-v, --verbose', 'each image too: its size, what it shares with others, what is its own')
    .addHelpText(
      'after',
      examples(['slipway du', 'by kind'], ['slipway du -v', 'by image too'], ['slipway du --json', 'for a program']),
    )
    .action(
      action<[], Flags>(async (context, { verbose }) => {
        const usage = await storeUsage(await context.store(), {
          cache: (items) => itemsToDrop(items, { unusedSince: Date.now() - CACHE_DAYS * DAY }),
          unfinished: true,
        });
        if (context.json) return context.out.json(usage);
        if (context.quiet) return context.out.line(String(usage.total));
        const row = (kind: string, { count, bytes }: { count?: number; bytes: number }): string[] => [
          kind,
          count === undefined ? '' : String(count),
          formatBytes(bytes),
        ];
        context.out.table([
          ['KIND', 'COUNT', 'SIZE'],
          row('images', usage.images),
          row('build cache', usage.buildCache),
          row('blobs without use', usage.unreferenced),
          row('unpacked layers', usage.unpackedLayers),
          ...(usage.copies.count > 0 ? [row('mounted as copies', usage.copies)] : []),
          row('tables of contents', usage.tocs),
          row('other caches', usage.otherCaches),
          row('unfinished', usage.tmp),
          ...(usage.damaged.bytes > 0 ? [row('set aside, damaged', usage.damaged)] : []),
          row('total', { bytes: usage.total }),
        ]);
        if (verbose)
          context.out.table([
            ['', '', '', ''],
            ['NAME', 'SIZE', 'SHARED', 'UNIQUE'],
            ...usage.perImage.map(({ name, size, shared, unique }) => [
              name,
              formatBytes(size),
              formatBytes(shared),
              formatBytes(unique),
            ]),
          ]);
        context.out.line(
          usage.reclaimable === undefined
            ? '\nAn image is damaged: see "slipway store check".'
            : `\n"slipway prune" would free ${formatBytes(usage.reclaimable)}.`,
        );
      }),
    );
}

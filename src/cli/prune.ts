import type { Command } from 'commander';
import { SlipwayError } from '../base/errors.js';
import { counted, formatBytes } from '../base/format.js';
import { imagesOfClusters } from '../install/state/known-clusters.js';
import { collect } from '../store/collect.js';
import { imageMounts } from '../store/mounts.js';
import { imageMatches, itemsToDrop, parseBytes, parseFilters } from '../store/prune-filter.js';
import { action, addGlobalFlags, examples, repeatable } from './action.js';

interface Flags {
  readonly all?: boolean;
  readonly buildCache?: boolean;
  readonly filter?: readonly string[];
  readonly keepStorage?: string;
  readonly dryRun?: boolean;
}

/** Days after which a record of the build cache that no build asked for is dropped. */
export const CACHE_DAYS = 7;
export const DAY = 24 * 60 * 60 * 1000;

export function define(program: Command): void {
  addGlobalFlags(program.command('prune'))
    .description(
      `Remove what no image, mount or running command needs, and what the build cache has not used for ${CACHE_DAYS} days. Nothing is asked.`,
    )
    .option('-a, --all', 'images too, except those that are mounted or that a cluster runs, and the whole build cache')
    .option('--build-cache', 'the whole build cache')
    .option('--keep-storage <size>', 'of the build cache keep what was used last, up to this size (10GB)')
    .option(
      '--filter <filter>',
      'until=24h, until=2026-01-31: only what is older; with --all: label=NAME[=VALUE], label!=NAME[=VALUE]',
      repeatable,
    )
    .option('--dry-run', 'remove nothing, print what would be freed')
    .option('-f, --force', 'taken for the sake of scripts written for docker: nothing is asked anyway')
    .addHelpText(
      'after',
      examples(
        ['slipway prune', 'free what can be freed without making the next build slower'],
        ['slipway prune --build-cache', 'also what only saves time'],
        ['slipway prune --keep-storage 10GB', 'for a timer: the build cache never grows beyond that'],
        [
          'slipway prune --all --filter until=720h --filter label!=keep',
          'images older than 30 days but the labelled ones',
        ],
      ),
    )
    .action(
      action<[], Flags>(async (context, flags) => {
        const now = Date.now();
        const filter = parseFilters(flags.filter ?? [], now);
        if (filter.labels.length > 0 && !flags.all)
          throw new SlipwayError('E_USAGE', 'label filters choose among images', { hint: 'add --all' });
        const keepBytes = flags.keepStorage === undefined ? undefined : parseBytes(flags.keepStorage, '--keep-storage');
        const whole = flags.buildCache === true || (flags.all === true && filter.labels.length === 0);
        const unusedSince =
          filter.until ??
          (whole && keepBytes === undefined
            ? Number.POSITIVE_INFINITY
            : keepBytes === undefined
              ? now - CACHE_DAYS * DAY
              : undefined);
        const store = await context.store();
        const inUse = new Set([
          ...(await imageMounts(store)).map(({ name }) => name),
          ...(flags.all ? await imagesOfClusters(context.root) : []),
        ]);
        const collected = await collect(store, {
          images: async (image) =>
            flags.all === true &&
            !inUse.has(image.name) &&
            !inUse.has(image.descriptor.digest) &&
            (await imageMatches(store, filter, image)),
          cache: (items) => itemsToDrop(items, { unusedSince, keepBytes }),
          before: filter.until,
          unfinished: filter.until === undefined,
          dryRun: flags.dryRun === true,
          waitSeconds: 10,
        });
        if (collected === undefined)
          throw new SlipwayError('E_LOCKED', 'another process uses the store', {
            hint: 'wait until it has finished, then try again',
          });
        if (context.json) return context.out.json({ dryRun: flags.dryRun === true, ...collected });
        const { images, blobs, layers, cacheRecords, caches, bytes } = collected;
        const would = flags.dryRun ? 'Would untag' : 'Untagged';
        for (const name of images) context.out.line(context.quiet ? name : `${would}: ${name}`);
        if (!context.quiet)
          context.out.line(
            `${flags.dryRun ? 'Would free' : 'Freed'}: ${formatBytes(bytes)} (${counted(blobs, 'blob')}, ${counted(layers, 'unpacked layer')}, ${counted(cacheRecords, 'build cache record')}, ${counted(caches, 'cache mount')})`,
          );
      }),
    );
}

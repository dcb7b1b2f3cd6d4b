import type { Command } from 'commander';
import { formatBytes, formatDuration } from '../base/format.js';
import { refetchBlob } from '../registry/refetch.js';
import { checkStore } from '../store/check/check.js';
import { repairStore } from '../store/check/repair.js';
import type { CheckReport } from '../store/check/report.js';
import { action, addGlobalFlags, examples } from './action.js';
import { define as defineDu } from './du.js';
import type { Output } from './output.js';
import { addConnectionFlags, addCredentialFlags, type RegistryFlags, registryOptions } from './registry-flags.js';

interface CheckFlags extends RegistryFlags {
  readonly repair?: boolean;
  readonly content?: boolean;
}

export function define(program: Command): void {
  const store = program
    .command('store')
    .description('Look after the store of this machine.')
    .usage('COMMAND [flags]')
    .addHelpText(
      'after',
      examples(['slipway store check', 'is everything whole?'], ['slipway store du', 'what is big?']),
    );
  const check = store
    .command('check')
    .description(
      'Read everything in the store, verify it, and say what is damaged and which images need it. Exit code 1 when anything is.',
    )
    .option(
      '--repair',
      'fetch damaged and missing blobs from where they came; remove derived data that is damaged: it is made again',
    )
    .option('--content', 'hash every file of unpacked layers too, not only its type, mode, owner, size and time');
  addGlobalFlags(addCredentialFlags(addConnectionFlags(check)))
    .addHelpText(
      'after',
      examples(
        ['slipway store check', 'what is damaged; nothing is changed'],
        ['slipway store check --repair', 'mend what can be mended; no image is untagged'],
        ['slipway store check --json', 'for a program'],
      ),
    )
    .action(
      action<[], CheckFlags>(async (context, flags) => {
        const opened = await context.store();
        const { content } = flags;
        const { reporter, signal } = context;
        const started = Date.now();
        const registry = flags.repair ? await registryOptions(context, flags) : undefined;
        const report =
          registry === undefined
            ? (await checkStore(opened, { content, reporter, signal })).report
            : await repairStore(opened, {
                content,
                reporter,
                signal,
                fetch: (blob) => refetchBlob(opened, blob, registry),
              });
        if (report.damaged.length > 0) process.exitCode = 1;
        if (context.json) return context.out.json(report);
        printReport(context.out, report, context.quiet, Date.now() - started);
      }),
    );
  defineDu(store);
}

function printReport(out: Output, report: CheckReport, quiet: boolean, milliseconds: number): void {
  const { checked, damaged, mended, unreferenced, leftovers, strangers, unpackedElsewhere } = report;
  if (quiet) {
    for (const { id } of damaged) out.line(id);
    return;
  }
  for (const { kind, id, action: what } of mended) out.line(`mended: ${kind} ${id}: ${what}`);
  for (const { kind, id, problem, images, next } of damaged) {
    out.line(`damaged: ${kind} ${id}: ${problem}`);
    if (images.length > 0) out.line(`  needed by: ${images.join(', ')}`);
    out.line(`  next: ${next}`);
  }
  for (const file of strangers) out.line(`note: ${file} is no blob; it is left alone`);
  if (unpackedElsewhere > 0)
    out.line(
      `note: ${unpackedElsewhere} layers unpacked by other users, or in "slipway unshare", were not looked at: they can be checked there`,
    );
  if (leftovers.entries > 0)
    out.line(`note: ${formatBytes(leftovers.bytes)} of killed commands are swept by the next one that writes`);
  if (unreferenced.blobs > 0)
    out.line(
      `note: ${unreferenced.blobs} blobs (${formatBytes(unreferenced.bytes)}) have no use; slipway prune frees them`,
    );
  out.line(
    `Checked ${checked.images} images, ${checked.blobs} blobs (${formatBytes(checked.bytes)}), ${checked.tocs} tables of contents, ` +
      `${checked.unpackedLayers} unpacked layers and ${checked.cacheRecords} build cache records in ${formatDuration(milliseconds)}: ` +
      `${damaged.length === 0 ? 'all is well' : `${damaged.length} damaged`}${mended.length === 0 ? '' : `, ${mended.length} mended`}`,
  );
}

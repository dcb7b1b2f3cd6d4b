import { type Command, Option } from 'commander';
import { SlipwayError } from '../base/errors.js';
import type { Reporter } from '../base/reporter.js';
import { parsePlatform } from '../image/platform.js';
import { ARCHIVE_FORMATS, type ArchiveFormat, type SavedImage, saveImages } from '../registry/archive/save.js';
import { findImage, readDocument } from '../store/local-image.js';
import type { Store } from '../store/store.js';
import { action, addGlobalFlags, examples, repeatable } from './action.js';

interface Flags {
  readonly output?: string;
  readonly format: ArchiveFormat;
  readonly platform?: string;
  readonly since?: readonly string[];
}

export function define(program: Command): void {
  addGlobalFlags(program.command('save'), { format: false })
    .description('Write images to an archive, to be carried where no registry is.')
    .argument('<images...>', 'names, or beginnings of ids')
    .option('-o, --output <file>', 'the archive (default: standard output)')
    .addOption(new Option('--format <format>', 'what kind of archive').choices(ARCHIVE_FORMATS).default('oci-archive'))
    .option('--platform <os/arch>', 'only this image of a multi-platform one (default: all)')
    .option(
      '--since <image>',
      'leave out what this image has: for a place that has it already; may be given several times',
      repeatable,
    )
    .addHelpText(
      'after',
      examples(
        ['slipway save -o k8s.tar k8s:v1', 'the whole image in one file'],
        ['slipway save -o update.tar --since k8s:v1 k8s:v2', 'only what v2 adds to v1'],
        ['slipway save k8s:v1 | ssh site slipway load', 'straight to another machine'],
      ),
    )
    .action(
      action<[string[]], Flags>(async (context, flags, images) => {
        if (flags.output === undefined && process.stdout.isTTY)
          throw new SlipwayError('E_USAGE', 'an archive is not written to a terminal', {
            hint: 'add -o FILE, or pipe it on',
          });
        const saved = await saveImages(await context.store(), images, flags.output ?? process.stdout, {
          format: flags.format,
          signal: context.signal,
          ...(flags.platform === undefined ? {} : { platform: parsePlatform(flags.platform) }),
          ...(flags.since === undefined ? {} : { since: flags.since }),
        });
        if (flags.format === 'docker-archive')
          await warnOfLoss(
            await context.store(),
            saved.map(({ name }) => name),
            context.reporter,
          );
        if (flags.output === undefined) return;
        if (context.json) context.out.json({ file: flags.output, images: saved.map(savedSummary) });
        else for (const { name } of saved) context.out.line(context.quiet ? name : `Saved ${name}`);
      }),
    );
}

function savedSummary({ name, descriptor, size, saved }: SavedImage): Readonly<Record<string, unknown>> {
  return { name, digest: descriptor.digest, size, savedBytes: saved };
}

async function warnOfLoss(store: Store, names: readonly string[], reporter: Reporter): Promise<void> {
  const { dockerArchiveLoss } = await import('../registry/archive/docker-archive.js');
  for (const name of names) {
    const { descriptor } = await findImage(store, name);
    const loss = dockerArchiveLoss(await readDocument(store, descriptor, name), name);
    if (loss !== undefined) reporter.warn(loss);
  }
}

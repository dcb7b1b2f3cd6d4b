import type { Command } from 'commander';
import { SlipwayError } from '../base/errors.js';
import { formatBytes } from '../base/format.js';
import { parsePlatform } from '../image/platform.js';
import { pullImage } from '../registry/pull.js';
import { action, addGlobalFlags, examples } from './action.js';
import { addConnectionFlags, addCredentialFlags, type RegistryFlags, registryOptions } from './registry-flags.js';

interface Flags extends RegistryFlags {
  readonly platform?: string;
  readonly all?: boolean;
}

export function define(program: Command): void {
  const command = program
    .command('pull')
    .description(
      'Download an image from a registry. What is here already is not downloaded again; everything is verified.',
    )
    .argument('<image>', '[host[:port]/]repository[:tag][@digest]')
    .option('--platform <os/arch>', 'which image of a multi-platform one (default: this machine)')
    .option('--all', 'the images for all platforms, and their index');
  addGlobalFlags(addCredentialFlags(addConnectionFlags(command)))
    .addHelpText(
      'after',
      examples(
        ['slipway pull registry.example.com/k8s:v1', 'into the store'],
        ['slipway pull --platform linux/arm64 localhost:5000/k8s:v1', 'for another architecture'],
      ),
    )
    .action(
      action<[string], Flags>(async (context, flags, image) => {
        if (flags.all && flags.platform !== undefined)
          throw new SlipwayError('E_USAGE', '--all and --platform exclude each other');
        const pulled = await pullImage(await context.store(), image, {
          ...(await registryOptions(context, flags)),
          platform: flags.platform === undefined ? undefined : parsePlatform(flags.platform),
          all: flags.all,
        });
        const { name, descriptor, from, copied, resumed, reused } = pulled;
        if (context.json)
          context.out.json({
            name,
            digest: descriptor.digest,
            from,
            downloadedBytes: copied,
            resumedBytes: resumed,
            reusedBytes: reused,
          });
        else if (context.quiet) context.out.line(descriptor.digest);
        else
          context.out.line(
            `Pulled ${name} (${descriptor.digest}): ${formatBytes(copied)} downloaded, ${resumed === 0 ? '' : `${formatBytes(resumed)} of a broken download taken over, `}${formatBytes(reused)} were here`,
          );
      }),
    );
}

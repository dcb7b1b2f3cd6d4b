import type { Command } from 'commander';
import { SlipwayError } from '../base/errors.js';
import { loadArchive } from '../registry/archive/load.js';
import { action, addGlobalFlags, examples } from './action.js';

interface Flags {
  readonly input?: string;
  readonly as?: string;
}

export function define(program: Command): void {
  addGlobalFlags(program.command('load'))
    .description(
      'Read images from an archive or an OCI layout: what "slipway save", "docker save", "skopeo copy" and sealer 0.8 write. Everything is verified.',
    )
    .argument('[file]', 'the archive or directory (default: standard input)')
    .option('-i, --input <file>', 'the same, as docker has it')
    .option('--as <name>', 'the name to give to the one image in the archive')
    .addHelpText(
      'after',
      examples(
        ['slipway load -i k8s.tar', 'the images in it, under their names'],
        ['docker save web:1.0 | slipway load', 'from another program'],
        ['slipway load --as k8s:v1 /mnt/usb/k8s', 'an OCI layout whose image has no name, or only a tag'],
      ),
    )
    .action(
      action<[string | undefined], Flags>(async (context, { input: flag, as }, file) => {
        if (flag !== undefined && file !== undefined)
          throw new SlipwayError('E_USAGE', `two archives: ${flag} and ${file}`, { hint: 'load one after the other' });
        const input = flag ?? file;
        if (input === undefined && process.stdin.isTTY)
          throw new SlipwayError('E_USAGE', 'no archive given', { hint: 'slipway load FILE, or pipe one in' });
        const images = await loadArchive(await context.store(), input ?? process.stdin, {
          as,
          reporter: context.reporter,
          signal: context.signal,
        });
        if (context.json)
          context.out.json(images.map(({ name, descriptor, size }) => ({ name, digest: descriptor.digest, size })));
        else for (const { name } of images) context.out.line(context.quiet ? name : `Loaded ${name}`);
      }),
    );
}

import type { Command } from 'commander';
import { SlipwayError } from '../base/errors.js';
import { parsePlatform } from '../image/platform.js';
import { mergeTocs } from '../layers/merge.js';
import type { TocEntry } from '../layers/toc.js';
import { describeImage } from '../store/describe.js';
import { layersOf, readToc, readTocs } from '../store/layer-store.js';
import { readImage } from '../store/local-image.js';
import { action, addGlobalFlags, examples } from './action.js';
import { printDescription } from './inspect-text.js';
import type { Output } from './output.js';

interface Flags {
  readonly layer?: string;
  readonly rootfs?: boolean;
  readonly platform?: string;
}

export function define(program: Command): void {
  addGlobalFlags(program.command('inspect'))
    .description('Show what an image is and what is in it: Metadata, launch commands, container images, layers, files.')
    .argument('<image>', 'a name, or the beginning of an id')
    .option('--layer <n>', 'list the files of one layer, by its index')
    .option('--rootfs', 'list the merged tree of all layers')
    .option('--platform <os/arch>', 'which image of a multi-platform one (default: this machine)')
    .addHelpText(
      'after',
      examples(
        ['slipway inspect k8s:v1', 'the whole picture'],
        ['slipway inspect k8s:v1 --layer 0', 'what the first layer adds'],
        ['slipway inspect k8s:v1 --rootfs --format json', 'every file a host would get, for a program'],
      ),
    )
    .action(
      action<[string], Flags>(async (context, flags, name) => {
        const store = await context.store();
        if (flags.layer !== undefined && flags.rootfs)
          throw new SlipwayError('E_USAGE', '--layer and --rootfs exclude each other');
        const image = await readImage(
          store,
          name,
          flags.platform === undefined ? undefined : parsePlatform(flags.platform),
        );
        await store.use(async () => {
          if (flags.layer !== undefined) {
            const layers = layersOf(image);
            const layer = /^\d+$/.test(flags.layer) ? layers[Number(flags.layer)] : undefined;
            if (!/^\d+$/.test(flags.layer))
              throw new SlipwayError('E_USAGE', `--layer ${flags.layer} is not an index`, {
                hint: `its layers are 0 to ${layers.length - 1}`,
              });
            if (layer === undefined)
              throw new SlipwayError('E_NOT_FOUND', `${image.name} has no layer ${flags.layer}`, {
                hint: `its layers are 0 to ${layers.length - 1}`,
              });
            return printFiles(context.out, context.json, (await readToc(store, layer)).entries);
          }
          if (flags.rootfs) {
            const tree = mergeTocs(await readTocs(store, image));
            return printFiles(
              context.out,
              context.json,
              [...tree.entries()].map(({ entry, layer }) => ({ ...entry, layer })),
            );
          }
          if (context.quiet) return context.out.line(image.descriptor.digest);
          const description = await describeImage(store, image);
          if (context.json) context.out.json(description);
          else printDescription(context.out, description);
        });
      }),
    );
}

function printFiles(out: Output, json: boolean, entries: readonly (TocEntry & { readonly layer?: number })[]): void {
  if (json) {
    out.json(
      entries.map(({ offset: _offset, ...rest }, index) => ({ ...rest, mode: modeText(entries[index] ?? rest) })),
    );
    return;
  }
  for (const entry of entries) {
    const { uid, gid, size, mtime, path, type, linkTarget } = entry;
    const link = type === 'symlink' ? ` -> ${linkTarget}` : type === 'hardlink' ? ` link to ${linkTarget}` : '';
    const mark = type === 'whiteout' ? ' (removed)' : type === 'opaque' ? ' (everything below removed)' : '';
    const time = new Date(mtime * 1000).toISOString().slice(0, 16).replace('T', ' ');
    out.table([
      [modeText(entry), `${uid}/${gid}`.padStart(9), String(size).padStart(11), time, `${path || '.'}${link}${mark}`],
    ]);
  }
}

const LETTERS: Readonly<Record<string, string>> = {
  dir: 'd',
  symlink: 'l',
  hardlink: 'h',
  char: 'c',
  block: 'b',
  fifo: 'p',
  whiteout: 'w',
  opaque: 'o',
};

/** As `ls -l` shows it: `drwxr-xr-x`. */
function modeText({ type, mode }: Pick<TocEntry, 'type' | 'mode'>): string {
  const bits = [...'rwxrwxrwx'].map((letter, index) => ((mode >> (8 - index)) & 1 ? letter : '-'));
  const special = (index: number, bit: number, letter: string): void => {
    if (mode & bit) bits[index] = bits[index] === 'x' ? letter : letter.toUpperCase();
  };
  special(2, 0o4000, 's');
  special(5, 0o2000, 's');
  special(8, 0o1000, 't');
  return (LETTERS[type] ?? '-') + bits.join('');
}

import { type Command, Option } from 'commander';
import type { ImageCollection } from '../build/collect/collection.js';
import { LOCK_MODES, type LockMode } from '../build/collect/image-lock.js';
import { CHART_MODES, type ChartMode } from '../build/collect/rootfs-images.js';
import { grouped, repeatable } from './action.js';

/** The flags about the container images that a cluster image carries. */
export interface ImageFlags {
  readonly imageList?: readonly string[];
  readonly ignoredImageList?: readonly string[];
  readonly imagesFromArgs?: boolean;
  readonly charts: ChartMode;
  readonly lock: LockMode;
}

export function addImageFlags(command: Command): Command {
  return grouped(command, 'Options about container images:', defineImageFlags);
}

function defineImageFlags(command: Command): void {
  command
    .option(
      '--image-list <file>',
      'container images to carry along, one name a line; may be given several times',
      repeatable,
    )
    .option(
      '--ignored-image-list <file>',
      'container images to leave out: names, or patterns with * and ?; may be given several times',
      repeatable,
    )
    .option('--images-from-args', 'also what looks like an image in args, command and env of containers')
    .addOption(
      new Option('--charts <mode>', 'charts: rendered by helm where there is one, only read, or left alone')
        .choices(CHART_MODES)
        .default('auto'),
    )
    .addOption(
      new Option('--lock <mode>', 'imageList.lock of the context: fetch exactly that, write it, or ignore it')
        .choices(LOCK_MODES)
        .default('use'),
    );
}

export function imageCollection(flags: ImageFlags): ImageCollection {
  return {
    lists: flags.imageList ?? [],
    ignoredLists: flags.ignoredImageList ?? [],
    fromArgs: flags.imagesFromArgs === true,
    charts: flags.charts,
  };
}

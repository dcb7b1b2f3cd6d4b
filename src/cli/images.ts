import type { Command } from 'commander';
import { isSlipwayError } from '../base/errors.js';
import { formatBytes } from '../base/format.js';
import { shortDigest } from '../image/digest.js';
import { formatPlatform } from '../image/platform.js';
import { sameName } from '../image/reference.js';
import { imageSize } from '../store/describe.js';
import type { StoredImage } from '../store/image-index.js';
import { readDocument, readImageAt } from '../store/local-image.js';
import type { Store } from '../store/store.js';
import { action, addGlobalFlags, examples } from './action.js';
import { ago } from './ago.js';

interface Row {
  readonly name: string;
  readonly digest: string;
  readonly mediaType: string;
  readonly type: string;
  readonly platforms: readonly string[];
  readonly created: string | null;
  readonly size: number;
}

export function define(program: Command): void {
  addGlobalFlags(program.command('images').alias('ls'))
    .description('List the images of the store.')
    .argument('[name]', 'only images whose name contains this')
    .addHelpText(
      'after',
      examples(
        ['slipway images', 'every image'],
        ['slipway images k8s --format json', 'what has k8s in its name, for a program'],
        ['slipway images -q', 'only the ids'],
      ),
    )
    .action(
      action(async (context, _flags, name: string | undefined) => {
        const store = await context.store();
        const images = (await store.images()).filter(
          (image) => name === undefined || image.name.includes(name) || sameName(image.name, name),
        );
        const rows = await Promise.all(images.map((image) => readRow(store, image)));
        if (context.json) return context.out.json(rows);
        if (context.quiet) {
          for (const { digest } of rows) context.out.line(digest);
          return;
        }
        context.out.table([
          ['NAME', 'IMAGE ID', 'TYPE', 'PLATFORM', 'CREATED', 'SIZE'],
          ...rows.map((row) => [
            row.name,
            row.digest.slice(7, 19),
            row.type,
            row.platforms.join(','),
            row.created === null ? '' : ago(row.created),
            formatBytes(row.size),
          ]),
        ]);
      }),
    );
}

async function readRow(store: Store, { name, descriptor }: StoredImage): Promise<Row> {
  const common = { name, digest: descriptor.digest, mediaType: descriptor.mediaType };
  try {
    const document = await readDocument(store, descriptor, name);
    const manifests = document.kind === 'index' ? document.index.manifests : [descriptor];
    const images = [];
    for (const manifest of manifests) {
      if ((await store.blobSize(manifest.digest)) !== undefined) images.push(await readImageAt(store, name, manifest));
    }
    return {
      ...common,
      type: images[0]?.cluster?.extension.type ?? (document.kind === 'index' ? 'index' : 'image'),
      platforms: images.map(({ platform }) => formatPlatform(platform)),
      created: images[0]?.config.created ?? null,
      size: images.reduce((sum, image) => sum + imageSize(image), 0),
    };
  } catch (error) {
    // One damaged image must not hide the others.
    if (!isSlipwayError(error)) throw error;
    return {
      ...common,
      type:
        error.details?.artifact === true ? 'artifact' : `damaged (${shortDigest(descriptor.digest)}: ${error.code})`,
      platforms: [],
      created: null,
      size: descriptor.size,
    };
  }
}

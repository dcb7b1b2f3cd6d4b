import type { Command } from 'commander';
import { SlipwayError } from '../base/errors.js';
import { formatBytes } from '../base/format.js';
import { parsePlatform } from '../image/platform.js';
import { compareImages, type ImageDifference } from '../store/image-difference.js';
import { readImage } from '../store/local-image.js';
import { action, addGlobalFlags, examples } from './action.js';
import { type Output, printable } from './output.js';

interface Flags {
  readonly platform?: string;
  readonly stat?: boolean;
  readonly exitCode?: boolean;
}

type FileChange = ImageDifference['files']['entries'][number];
type Key = ImageDifference['env'][number];

/** What a person is not shown one by one: the blobs and links behind the container images. */
const REGISTRY = 'registry/docker/registry/v2/';
const LETTER = { added: 'A', removed: 'D', changed: 'M' } as const;

export function define(program: Command): void {
  addGlobalFlags(program.command('diff'))
    .description('Show what is different in another image: files, Metadata, labels, launch commands, container images.')
    .argument('<image>', 'a name, or the beginning of an id')
    .argument('<other>', 'the image that is compared with it')
    .argument('[path...]', 'only files at these paths or below')
    .option('--platform <os/arch>', 'which images of multi-platform ones')
    .option('--stat', 'only how many files, layers and settings differ')
    .option('--exit-code', 'end with 1 when they differ, as git diff does')
    .addHelpText(
      'after',
      examples(
        ['slipway diff k8s:v1.29.2 k8s:v1.29.3', 'what the new version brings'],
        ['slipway diff k8s:v1 k8s:v2 etc scripts', 'only files in two directories'],
        ['slipway diff -q --exit-code k8s:v1 k8s:v2', 'only the names of files, for a script'],
      ),
    )
    .action(
      action<[string, string, readonly string[]], Flags>(async (context, flags, a, b, paths) => {
        const store = await context.store();
        const platform = flags.platform === undefined ? undefined : parsePlatform(flags.platform);
        const difference = await store.use(async () =>
          compareImages(store, await readImage(store, a, platform), await readImage(store, b, platform), below(paths)),
        );
        const { files, different } = difference;
        const differs = paths.length === 0 ? different : files.entries.length > 0;
        if (context.json) context.out.json(flags.stat ? withoutEntries(difference) : difference);
        else if (context.quiet) for (const { path } of files.entries) context.out.line(printable(path || '/'));
        else if (paths.length > 0) printFiles(context.out, files.entries);
        else if (!differs) context.out.line('no difference');
        else printDifference(context.out, difference, flags.stat === true);
        if (flags.exitCode && differs) process.exitCode = 1;
      }),
    );
}

/** True for the given paths and what is below them. */
function below(paths: readonly string[]): (path: string) => boolean {
  const wanted = paths.map((text) => {
    const parts = text.split('/').filter((part) => part !== '' && part !== '.');
    if (parts.includes('..')) throw new SlipwayError('E_USAGE', `${text}: a path of an image has no ".."`);
    return parts.join('/');
  });
  if (wanted.length === 0 || wanted.includes('')) return () => true;
  return (path) => wanted.some((prefix) => path === prefix || path.startsWith(`${prefix}/`));
}

function withoutEntries(difference: ImageDifference): ImageDifference {
  return { ...difference, files: { ...difference.files, entries: [] } };
}

function printDifference(out: Output, difference: ImageDifference, onlyCounts: boolean): void {
  const { files, layers, settings, metadata, labels, env, applications, containerImages } = difference;
  if (!onlyCounts) {
    printFiles(
      out,
      files.entries.filter(({ path }) => !path.startsWith(REGISTRY)),
    );
    printKeys(out, 'Settings', settings);
    printKeys(out, 'Metadata', metadata);
    printKeys(out, 'Labels', labels);
    printKeys(out, 'Env', env);
    section(
      out,
      'Applications',
      applications.map(({ name, change }) => [LETTER[change], name]),
    );
    section(
      out,
      'Container images',
      containerImages.map(({ image, change, fromDigest, toDigest }) => [
        LETTER[change],
        image,
        change === 'changed' ? `${short(fromDigest)} → ${short(toDigest)}` : '',
      ]),
    );
  }
  const carried = files.entries.filter(({ path }) => path.startsWith(REGISTRY)).length;
  const { added, removed, changed } = files;
  out.line(
    `files: ${added.files} added (${formatBytes(added.bytes)}), ${removed.files} removed (${formatBytes(removed.bytes)}), ${changed.files} changed${carried === 0 ? '' : `; ${carried} of them carry the container images`}`,
  );
  out.line(`layers: ${layers.shared} shared, ${layers.onlyFrom.length} gone, ${layers.onlyTo.length} new`);
  if (onlyCounts) {
    const counts = { settings, metadata, labels, env, applications, 'container images': containerImages };
    const told = Object.entries(counts).filter(([, list]) => list.length > 0);
    for (const [name, list] of told) out.line(`${name}: ${list.length} differ`);
  }
}

function printFiles(out: Output, entries: readonly FileChange[]): void {
  section(
    out,
    'Files',
    entries.map((entry) => [
      LETTER[entry.change],
      `${entry.path}${sideOf(entry).type === 'dir' ? '/' : ''}`,
      size(entry),
      what(entry),
    ]),
  );
}

function sideOf({ from, to }: FileChange): NonNullable<FileChange['to']> {
  return (to ?? from) as NonNullable<FileChange['to']>;
}

function size({ from, to }: FileChange): string {
  const sizes = [from, to].flatMap((side) => (side?.type === 'file' ? [formatBytes(side.size)] : []));
  return [...new Set(sizes)].join(' → ');
}

function what({ aspects, from, to }: FileChange): string {
  if (from === null || to === null) return to?.linkTarget === undefined ? '' : `→ ${to.linkTarget}`;
  const told = {
    type: `${from.type} → ${to.type}`,
    content: 'content',
    mode: `mode ${from.mode} → ${to.mode}`,
    owner: `owner ${from.uid}:${from.gid} → ${to.uid}:${to.gid}`,
    link: `link ${from.linkTarget} → ${to.linkTarget}`,
    xattrs: 'extended attributes',
    device: `device ${from.device} → ${to.device}`,
  };
  return aspects.map((aspect) => told[aspect]).join(', ');
}

function printKeys(out: Output, title: string, keys: readonly Key[]): void {
  section(
    out,
    title,
    keys.map(({ key, from, to }) => [
      from === null ? 'A' : to === null ? 'D' : 'M',
      key,
      [from, to].flatMap((side) => (side === null ? [] : [show(side)])).join(' → '),
    ]),
  );
}

function show(value: Key['from']): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}

function section(out: Output, title: string, rows: readonly (readonly string[])[]): void {
  if (rows.length === 0) return;
  out.line(`${title}:`);
  out.table(rows.map(([letter = '', ...cells]) => [`  ${letter}`, ...cells]));
}

function short(digest: string | null): string {
  return digest === null ? '?' : digest.slice(7, 19);
}

import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { fileSystemError, isSlipwayError, SlipwayError } from '../../base/errors.js';
import { type Digest, digestOf } from '../../image/digest.js';
import { type MergedEntry, mergeTocs } from '../../layers/merge.js';
import { fsPath } from '../../layers/path-bytes.js';
import { comparePaths } from '../../layers/toc.js';
import type { UnpackedLayer } from '../../store/layer-store.js';
import { REGISTRY_DIR } from '../state/cluster-paths.js';
import { renderTemplate } from './template.js';

/** Something that a host must have in its rootfs. Paths as in a table of contents: relative, no slash at either end. */
export type WantedEntry = WantedDirectory | WantedFile | WantedLink;

interface WantedAttributes {
  readonly path: string;
  /** Permission bits including setuid, setgid and sticky. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Whole seconds since the epoch. Of directories it means nothing. */
  readonly mtime: number;
}
export interface WantedDirectory extends WantedAttributes {
  readonly type: 'dir';
}
export interface WantedFile extends WantedAttributes {
  readonly type: 'file';
  readonly size: number;
  readonly digest: Digest;
  readonly content: { readonly file: string } | { readonly bytes: Uint8Array };
}
export interface WantedLink extends WantedAttributes {
  readonly type: 'symlink';
  readonly linkTarget: string;
}

/** Where templates are looked for, beside the directories of applications. */
const TEMPLATES = /^(?:etc|charts|manifests|statics)\/.*[^/]\.tmpl$/;
const APPLICATION_TEMPLATES = /^application\/apps\/([^/]+)\/.*[^/]\.tmpl$/;
const LARGEST_TEMPLATE = 4 * 1024 * 1024;

/** The rootfs of an image, as its layers make it together, with its contents on this machine. */
export interface ImageRootfs {
  /** Sorted by path, parents before children. */
  readonly entries: readonly WantedEntry[];
  /** Of all entries: two images with the same one give hosts the same. */
  readonly digest: Digest;
  /** Paths that cannot be sent: devices, FIFOs. */
  readonly skipped: readonly string[];
}

/** Merges the layers of an image. Files that share their content become files of their own: hosts may change them. */
export function imageRootfs(layers: readonly UnpackedLayer[]): ImageRootfs {
  const entries: WantedEntry[] = [];
  const skipped: string[] = [];
  for (const merged of mergeTocs(layers.map(({ toc }) => toc)).entries()) {
    if (merged.entry.path === '') continue;
    const wanted = wantedEntry(merged, layers);
    if (wanted === undefined) skipped.push(merged.entry.path);
    else entries.push(wanted);
  }
  return { entries, digest: entriesDigest(entries), skipped };
}

/** How templates in the directories of applications are rendered. */
export interface ApplicationTemplates {
  /** By the application's name. */
  readonly applications: ReadonlyMap<string, Readonly<Record<string, string>>>;
  readonly warn: (warning: string) => void;
}

/**
 * Renders every template (`*.tmpl` in etc, charts, manifests, statics, and in the directories of applications) of an image for one host;
 * each result has its place beside its template. What an application calls `.tmpl` may be something else, such as a template of
 * Alertmanager: when it does more than fill in values it stays as it is, with a warning.
 * @throws SlipwayError E_CLUSTERFILE naming template, line and variable, or a template in whose place there is a directory.
 */
export async function renderTemplates(
  { entries }: ImageRootfs,
  values: Readonly<Record<string, string>>,
  { applications, warn }: ApplicationTemplates = { applications: new Map(), warn: () => undefined },
): Promise<readonly WantedFile[]> {
  const rendered: WantedFile[] = [];
  const directories = new Set(entries.flatMap(({ type, path }) => (type === 'dir' ? [path] : [])));
  const renderFile = async (template: WantedFile, own: Readonly<Record<string, string>>): Promise<WantedFile> => {
    const file = await rendering(template, own);
    if (!directories.has(file.path)) return file;
    throw new SlipwayError(
      'E_CLUSTERFILE',
      `${template.path} of the image makes ${file.path}, which is a directory there`,
      {
        hint: 'build the image with another name for one of the two',
      },
    );
  };
  for (const entry of entries) {
    if (entry.type !== 'file') continue;
    if (TEMPLATES.test(entry.path)) rendered.push(await renderFile(entry, values));
    const own = applications.get(APPLICATION_TEMPLATES.exec(entry.path)?.[1] ?? '');
    if (own === undefined) continue;
    try {
      rendered.push(await renderFile(entry, own));
    } catch (error) {
      if (!isSlipwayError(error, 'E_UNSUPPORTED')) throw error;
      warn(`${error.message}; it is left as it is`);
    }
  }
  return rendered;
}

/** The wanted state of one host's rootfs: the image's, without `registry/` where it is not served, with what was rendered for it. */
export function hostRootfs(
  { entries }: ImageRootfs,
  rendered: readonly WantedFile[],
  servesRegistry: boolean,
): readonly WantedEntry[] {
  const own = servesRegistry ? entries : entries.filter(({ path }) => !isInside(path, REGISTRY_DIR));
  if (rendered.length === 0) return own;
  const paths = new Set(rendered.map(({ path }) => path));
  return [...own.filter(({ path }) => !paths.has(path)), ...rendered].sort((a, b) => comparePaths(a.path, b.path));
}

/** Identifies a wanted state: attributes and contents, not where the contents are. */
export function entriesDigest(entries: Iterable<WantedEntry>): Digest {
  const lines: string[] = [];
  for (const entry of entries) {
    const { path, type, mode, uid, gid, mtime } = entry;
    const attributes = [path, type, mode, uid, gid];
    if (entry.type === 'file') lines.push(JSON.stringify([...attributes, mtime, entry.size, entry.digest]));
    else if (entry.type === 'symlink') lines.push(JSON.stringify([...attributes, entry.linkTarget]));
    else lines.push(JSON.stringify(attributes));
  }
  return digestOf(lines.join('\n'));
}

/**
 * The content of a small file of a rootfs; undefined when it has no such file.
 * @throws SlipwayError E_UNSUPPORTED when it is not small, E_FILE_CHANGED when the store was tampered with.
 */
export async function readRootfsFile(entries: readonly WantedEntry[], path: string): Promise<Buffer | undefined> {
  const entry = entries.find((one): one is WantedFile => one.path === path && one.type === 'file');
  return entry === undefined ? undefined : readContent(entry);
}

/** Bytes of files, of those entries that `counts` (default: all). */
export function totalBytes(entries: Iterable<WantedEntry>, counts: (path: string) => boolean = () => true): number {
  let bytes = 0;
  for (const entry of entries) if (entry.type === 'file' && counts(entry.path)) bytes += entry.size;
  return bytes;
}

/** Whether `path` is `dir` or something in it. */
export function isInside(path: string, dir: string): boolean {
  return path === dir || path.startsWith(`${dir}/`);
}

async function rendering(template: WantedFile, values: Readonly<Record<string, string>>): Promise<WantedFile> {
  const text = (await readContent(template)).toString('utf8');
  const bytes = Buffer.from(renderTemplate(text, values, template.path));
  return {
    ...template,
    path: template.path.slice(0, -'.tmpl'.length),
    size: bytes.length,
    digest: digestOf(bytes),
    content: { bytes },
  };
}

/**
 * The content of a small file.
 * @throws SlipwayError E_UNSUPPORTED when it is not small, E_FILE_CHANGED when the store was tampered with.
 */
export async function readContent({ path, size, content, digest }: WantedFile): Promise<Buffer> {
  if ('bytes' in content) return Buffer.from(content.bytes);
  if (size > LARGEST_TEMPLATE) {
    throw new SlipwayError(
      'E_UNSUPPORTED',
      `${path} in the image has ${size} bytes, too many for a file that is read here`,
    );
  }
  let bytes: Buffer;
  try {
    const handle = await open(fsPath(content.file), 'r');
    try {
      bytes = await handle.readFile();
    } finally {
      await handle.close();
    }
  } catch (error) {
    throw fileSystemError(error, `reading ${content.file}`);
  }
  if (digestOf(bytes) !== digest) {
    throw new SlipwayError('E_FILE_CHANGED', `${content.file} is not what the image has at ${path}`, {
      hint: 'an unpacked layer of the store was changed; "slipway store check --repair" removes it, it is made again when needed',
    });
  }
  return bytes;
}

function wantedEntry({ entry, source }: MergedEntry, layers: readonly UnpackedLayer[]): WantedEntry | undefined {
  const { path, mode, uid, gid, mtime } = entry;
  const attributes = { path, mode, uid, gid, mtime };
  if (entry.type === 'dir') return { ...attributes, type: 'dir' };
  if (entry.type === 'symlink') return { ...attributes, type: 'symlink', linkTarget: entry.linkTarget ?? '' };
  const dir = source === undefined ? undefined : layers[source.layer]?.dir;
  const digest = source?.entry.digest;
  if (source === undefined || dir === undefined || digest === undefined) return undefined;
  return {
    ...attributes,
    type: 'file',
    size: source.entry.size,
    digest,
    content: { file: join(dir, source.entry.path) },
  };
}

import { isSlipwayError } from '../../base/errors.js';
import { type Reporter, silentReporter } from '../../base/reporter.js';
import { choosePlatform } from '../../image/choose-platform.js';
import type { Digest } from '../../image/digest.js';
import { CONFIG_LIMIT, configPlatform, type Descriptor, type ImageConfig, parseImageConfig } from '../../image/oci.js';
import { formatPlatform, type Platform, samePlatform } from '../../image/platform.js';
import { verified } from '../archive/verified.js';
import { readBounded } from '../bounded.js';
import { type ContentDocument, type ContentSource, withKnownDocuments } from '../content.js';
import { type CopyResult, copyGraph } from '../copy.js';
import type { ImageSource, ImageTarget } from './image-place.js';

export interface CopyImageOptions {
  /** Which image of an index; default this machine's. */
  readonly platform?: Platform | undefined;
  /** Every image of an index, and the index itself. */
  readonly all?: boolean | undefined;
  readonly reporter?: Reporter | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface CopiedImage extends CopyResult {
  /** The manifest for the platform, or the index with `all`. */
  readonly descriptor: Descriptor;
  /** The indexes that led to `descriptor`, the asked one first; they were not copied. */
  readonly through: readonly ContentDocument[];
}

/**
 * Copies an image from one place to another: the content first, its name last. What is there already is not sent again; everything else is
 * verified. Bytes stay as they are, and so do digests.
 * @throws SlipwayError of the side that failed.
 */
export async function copyImage(
  source: ImageSource,
  target: ImageTarget,
  { platform, all = false, reporter = silentReporter, signal }: CopyImageOptions,
): Promise<CopiedImage> {
  const content = target.known === undefined ? source.content : withKnownDocuments(source.content, target.known);
  const through: ContentDocument[] = [];
  const descriptor = all ? source.root : await chooseImage(content, source.root, platform, source.label, through);
  const result = await copyGraph(content, await target.receive(descriptor, source), descriptor, {
    reporter,
    signal,
    onBlob: ({ digest }) => note(source, target, digest),
  });
  await note(source, target, descriptor.digest);
  if (platform !== undefined && !all)
    await warnOfPlatform(target.known ?? content, descriptor, platform, source.label, reporter);
  await target.finish(descriptor, source);
  return { descriptor, through, ...result };
}

/** The store remembers which repositories have a blob: so a push to the same registry can take it from there. */
async function note(source: ImageSource, target: ImageTarget, digest: Digest): Promise<void> {
  if (source.repository !== undefined) await target.note?.(digest, source.repository);
  if (target.repository !== undefined) await source.note?.(digest, target.repository);
}

/** The manifest for the platform when `found` is an index (of indexes), which are added to `through`; `found` itself otherwise. */
export async function chooseImage(
  content: ContentSource,
  found: Descriptor,
  platform: Platform | undefined,
  name: string,
  through: ContentDocument[],
): Promise<Descriptor> {
  const read = await content.document(found);
  if (read.document.kind === 'manifest') return read.descriptor;
  through.push(read);
  return chooseImage(content, choosePlatform(read.document.index.manifests, platform, name), platform, name, through);
}

/** A single image is copied whatever it is for, as docker does; the person who asked for another platform is told. */
async function warnOfPlatform(
  content: ContentSource,
  descriptor: Descriptor,
  wanted: Platform,
  name: string,
  reporter: Reporter,
): Promise<void> {
  const config = await imageConfig(content, descriptor);
  if (config === undefined || samePlatform(configPlatform(config), wanted)) return;
  reporter.warn(`${name} is for ${formatPlatform(configPlatform(config))}, not for ${formatPlatform(wanted)}`);
}

/** Undefined for an artifact: its config is no image config. */
async function imageConfig(content: ContentSource, descriptor: Descriptor): Promise<ImageConfig | undefined> {
  const { document } = await content.document(descriptor);
  if (document.kind === 'index') return undefined;
  const { config } = document.manifest;
  try {
    const bytes = await readBounded(verified(content.open(config, 0, config.size), config), CONFIG_LIMIT);
    return bytes === undefined ? undefined : parseImageConfig(bytes, `config ${config.digest}`);
  } catch (error) {
    if (!isSlipwayError(error, 'E_INVALID_MANIFEST')) throw error;
    return undefined;
  }
}

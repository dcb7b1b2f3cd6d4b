import type { Application, ContainerImage } from '../image/cluster-image.js';
import type { Digest } from '../image/digest.js';
import { METADATA_PATH, type Metadata, parseMetadata } from '../image/metadata.js';
import type { History } from '../image/oci.js';
import { normalizePlatform, type Platform } from '../image/platform.js';
import { countFiles } from '../layers/toc.js';
import { layersOf, readToc } from './layer-store.js';
import { type LocalImage, readDocument } from './local-image.js';
import { readRootfsFile } from './rootfs-file.js';
import type { Store } from './store.js';

/** What `slipway inspect` shows; its JSON has these fields in this order. */
export interface ImageDescription {
  readonly name: string;
  readonly digest: Digest;
  readonly mediaType: string;
  /** `kube-installer`, `app-installer`, or `image` for an ordinary container image. */
  readonly type: string;
  readonly platform: Platform;
  /** Every platform that the name has an image for; more than one when it is an index. */
  readonly platforms: readonly Platform[];
  readonly created: string | null;
  /** Bytes to download: config and layers, each blob once. */
  readonly size: number;
  readonly metadata: Metadata | null;
  readonly labels: Readonly<Record<string, string>>;
  readonly env: readonly string[];
  readonly process: ProcessDescription;
  readonly launch: { readonly cmds: readonly string[]; readonly apps: readonly string[] };
  readonly applications: readonly Application[];
  readonly containerImages: readonly ContainerImage[];
  readonly layers: readonly LayerDescription[];
}

/** What a container of an ordinary image runs, and RUN in a stage upon any image. Names and meanings are those of the image config. */
export interface ProcessDescription {
  readonly entrypoint: readonly string[] | null;
  readonly cmd: readonly string[] | null;
  readonly user: string;
  readonly workingDir: string;
  readonly exposedPorts: readonly string[];
  readonly volumes: readonly string[];
}

export interface LayerDescription {
  readonly index: number;
  /** COPY, RUN, BASE …: the instruction's first word; empty when the image does not say. */
  readonly type: string;
  readonly instruction: string;
  readonly digest: Digest;
  readonly diffID: Digest;
  readonly mediaType: string;
  readonly size: number;
  readonly unpackedSize: number;
  readonly files: number;
}

/** Metadata is a few hundred bytes; anything of this size is not one. */
const METADATA_LIMIT = 1024 * 1024;

/** Reads everything there is to say about an image. Layers never seen before are read through once, for their file counts. */
export async function describeImage(store: Store, image: LocalImage): Promise<ImageDescription> {
  const { name, descriptor, config, cluster, platform } = image;
  const settings = config.config;
  const metadata = await readRootfsFile(store, image, METADATA_PATH, METADATA_LIMIT);
  return {
    name,
    digest: descriptor.digest,
    mediaType: descriptor.mediaType,
    type: cluster?.extension.type ?? 'image',
    platform,
    platforms: await platformsOf(store, image),
    created: config.created ?? null,
    size: imageSize(image),
    metadata: metadata === undefined ? null : parseMetadata(metadata.toString('utf8'), `${name}: ${METADATA_PATH}`),
    labels: { ...settings?.Labels },
    env: settings?.Env ?? [],
    process: {
      entrypoint: settings?.Entrypoint ?? null,
      cmd: settings?.Cmd ?? null,
      user: settings?.User ?? '',
      workingDir: settings?.WorkingDir || '/',
      exposedPorts: Object.keys(settings?.ExposedPorts ?? {}),
      volumes: Object.keys(settings?.Volumes ?? {}),
    },
    launch: { cmds: cluster?.extension.launch.cmds ?? [], apps: cluster?.extension.launch.app_names ?? [] },
    applications: cluster?.extension.applications ?? [],
    containerImages: cluster?.containerImages ?? [],
    layers: await describeLayers(store, image),
  };
}

async function platformsOf(store: Store, { name, platform, top }: LocalImage): Promise<Platform[]> {
  const document = await readDocument(store, top, name);
  if (document.kind === 'manifest') return [platform];
  return document.index.manifests.flatMap((manifest) =>
    manifest.platform === undefined || manifest.platform.os === 'unknown' ? [] : [normalizePlatform(manifest.platform)],
  );
}

async function describeLayers(store: Store, image: LocalImage): Promise<LayerDescription[]> {
  const made = layerHistory(image.config.history ?? [], image.manifest.layers.length);
  const layers: LayerDescription[] = [];
  for (const [index, layer] of layersOf(image).entries()) {
    const { unpackedSize, entries } = await readToc(store, layer);
    const instruction = instructionOf(made[index]);
    layers.push({
      index,
      type: /^[A-Z]+(?= )/.exec(instruction)?.[0] ?? '',
      instruction,
      digest: layer.descriptor.digest,
      diffID: layer.diffId,
      mediaType: layer.descriptor.mediaType,
      size: layer.descriptor.size,
      unpackedSize,
      files: countFiles(entries),
    });
  }
  return layers;
}

/** Bytes of config and layers, each blob counted once. */
export function imageSize({ manifest }: Pick<LocalImage, 'manifest'>): number {
  const sizes = new Map([manifest.config, ...manifest.layers].map(({ digest, size }) => [digest, size]));
  return [...sizes.values()].reduce((sum, size) => sum + size, 0);
}

/** The history entries that made layers. Images without (complete) history say nothing: a wrong guess would be worse. */
export function layerHistory(history: readonly History[], layers: number): readonly (History | undefined)[] {
  const made = history.filter(({ empty_layer }) => empty_layer !== true);
  return made.length === layers ? made : new Array<undefined>(layers).fill(undefined);
}

/** An instruction as a person wrote it: builders' wrappings (`/bin/sh -c #(nop) `, `# buildkit`) taken off, our comment put behind. */
export function instructionOf(history: History | undefined): string {
  if (history?.created_by === undefined) return '';
  const text = history.created_by
    .replace(/^\/bin\/sh -c #\(nop\)\s+/, '')
    .replace(/^\/bin\/sh -c /, 'RUN ')
    .replace(/\s*# buildkit$/, '')
    .trim();
  return history.comment?.startsWith(LAYER_NOTE) ? `${text} (${history.comment.slice(LAYER_NOTE.length)})` : text;
}

/** Marks a history comment that says which part of an instruction a layer is, such as the container image of a BASE layer. */
export const LAYER_NOTE = 'slipway: ';

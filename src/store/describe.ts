import type { Application, ContainerImage } from '../image/cluster-image.js';
import type { Digest } from '../image/digest.js';
import { METADATA_PATH, type Metadata, parseMetadata } from '../image/metadata.js';
import type { History } from '../image/oci.js';
import { normalizePlatform, type Platform } from '../image/platform.js';
import { mergeTocs } from '../layers/merge.js';
import { countFiles, type LayerToc } from '../layers/toc.js';
import { layersOf, readTocs } from './layer-store.js';
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
  /** Bytes of all files when they are unpacked: what every host gets, and what only those that serve the registry get besides. */
  readonly content: { readonly rootfs: number; readonly registry: number };
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
/** Only hosts that serve the registry get what is in it. */
const REGISTRY_DIRECTORY = 'registry/';

/** Reads everything there is to say about an image. Layers never seen before are read through once, for their file counts. */
export async function describeImage(store: Store, image: LocalImage): Promise<ImageDescription> {
  const { name, descriptor, config, cluster, platform } = image;
  const settings = config.config;
  const tocs = await readTocs(store, image);
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
    content: contentSize(tocs),
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
    layers: describeLayers(image, tocs),
  };
}

async function platformsOf(store: Store, { name, platform, top }: LocalImage): Promise<Platform[]> {
  const document = await readDocument(store, top, name);
  if (document.kind === 'manifest') return [platform];
  return document.index.manifests.flatMap((manifest) =>
    manifest.platform === undefined || manifest.platform.os === 'unknown' ? [] : [normalizePlatform(manifest.platform)],
  );
}

function contentSize(tocs: readonly LayerToc[]): ImageDescription['content'] {
  const sizes = { rootfs: 0, registry: 0 };
  for (const { entry } of mergeTocs(tocs).entries())
    sizes[entry.path.startsWith(REGISTRY_DIRECTORY) ? 'registry' : 'rootfs'] += entry.size;
  return sizes;
}

function describeLayers(image: LocalImage, tocs: readonly LayerToc[]): LayerDescription[] {
  const made = layerHistory(image.config.history ?? [], image.manifest.layers.length);
  return layersOf(image).map(({ descriptor, diffId }, index) => {
    const instruction = instructionOf(made[index]);
    return {
      index,
      type: /^[A-Z]+(?= )/.exec(instruction)?.[0] ?? '',
      instruction,
      digest: descriptor.digest,
      diffID: diffId,
      mediaType: descriptor.mediaType,
      size: descriptor.size,
      unpackedSize: tocs[index]?.unpackedSize ?? 0,
      files: countFiles(tocs[index]?.entries ?? []),
    };
  });
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

import { SlipwayError } from '../../base/errors.js';
import type { Reporter } from '../../base/reporter.js';
import { KUBE_VERSION_LABEL } from '../../image/applications.js';
import { type ClusterImageType, IMAGE_TYPES } from '../../image/cluster-image.js';
import { METADATA_PATH, type Metadata, parseMetadata } from '../../image/metadata.js';
import type { Descriptor } from '../../image/oci.js';
import type { Platform } from '../../image/platform.js';
import type { MergedEntry } from '../../layers/merge.js';
import { packLayer } from '../../layers/pack.js';
import type { LayerToc, PackEntry } from '../../layers/toc.js';
import type { RegistryOptions } from '../../registry/options.js';
import { adoptLayer, layersOf, readTocs, type StoredLayer } from '../../store/layer-store.js';
import type { LocalImage } from '../../store/local-image.js';
import { readLayerFile, readRootfsFile } from '../../store/rootfs-file.js';
import type { Store } from '../../store/store.js';
import { commitImage } from '../finish/commit.js';
import { baseImage } from '../stages/from.js';
import { emptyStage, stageFrom } from '../stages/stage.js';
import { neutralTime } from '../times.js';
import { type Conflict, judge } from './conflict.js';
import { mergeHistory } from './merge-history.js';
import { type MergedMetadata, mergeMetadata } from './merge-metadata.js';
import { mergeStates } from './merge-states.js';
import { type Stack, stackLayers } from './stack-layers.js';

export interface MergeOptions {
  readonly platform: Platform;
  readonly pull: 'missing' | 'always' | 'never';
  /** Let the later image win where they contradict each other. */
  readonly force: boolean;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  /** SOURCE_DATE_EPOCH, in seconds. */
  readonly epoch?: number | undefined;
  readonly registry: RegistryOptions;
  readonly reporter: Reporter;
  readonly signal: AbortSignal;
  /** The version of this program. */
  readonly version: string;
}

/** Files of the rootfs that are put together rather than chosen: their lines are united. */
const LISTS = ['imageList', 'manifests/imageList'];
const LIST_LIMIT = 16 * 1024 * 1024;
const METADATA_LIMIT = 1024 * 1024;

/** One of the images, with what is read of it. */
interface Side {
  readonly image: LocalImage;
  readonly name: string;
  readonly type: string;
  readonly metadata: Metadata | undefined;
}

export interface MergedImage {
  /** Of the manifest; it has no name yet. */
  readonly descriptor: Descriptor;
  readonly conflicts: readonly Conflict[];
  readonly layers: number;
}

/**
 * Makes one image of several, the later ones winning where that is allowed. Config and manifest are new, and at most one small layer with what is put
 * together by rule (Metadata, image lists); all other layers are those of the images. Images that are not in the store are pulled.
 * @throws SlipwayError E_CONFLICT when they do not fit together and `force` is not given; E_USAGE for fewer than two images; what pulling throws.
 */
export async function mergeImages(store: Store, names: readonly string[], options: MergeOptions): Promise<MergedImage> {
  if (names.length < 2) throw new SlipwayError('E_USAGE', 'there is nothing to merge: give two images or more');
  const { platform, reporter, signal } = options;
  const sides: Side[] = [];
  for (const name of names) {
    signal.throwIfAborted();
    sides.push(await readSide(store, await baseImage({ store, ...options }, name, platform)));
  }
  const tocs: LayerToc[][] = [];
  for (const { image } of sides) tocs.push(await readTocs(store, image));
  const byRule = (path: string): boolean => path === METADATA_PATH || LISTS.includes(path);
  const stack = stackLayers(
    sides.map(({ image, name }, index) => ({ name, layers: layersOf(image), tocs: tocs[index] ?? [] })),
    byRule,
  );
  const states = sides.map(({ image, name }, index) => ({
    name,
    state: stageFrom(image),
    sharesBase: (stack.shared[index] ?? 0) > 0,
  }));
  const { settings, conflicts: different } = mergeStates(states);
  const merged = mergeMetadata(
    states.map(({ name, state }, index) => ({ ...sideOf(sides, index), name, labels: state.labels })),
  );
  const conflicts = [...merged.conflicts, ...different, ...stack.conflicts];
  judge(conflicts, options.force, reporter);

  const all = sides.map(({ image }) => layersOf(image));
  const layers = stack.layers.flatMap(({ side, index }) => all[side]?.[index] ?? []);
  const history = mergeHistory(
    sides.map(({ image, name }, side) => ({
      name,
      history: image.config.history ?? [],
      layers: image.manifest.layers.length,
      shared: stack.shared[side] ?? 0,
      kept: new Set(stack.layers.flatMap((layer) => (layer.side === side ? [layer.index] : []))),
      created: image.config.created,
    })),
  );
  const created = createdTime(sides, options);
  const written = await writtenByRule(store, sides, stack, layers, merged);
  if (written.length > 0) {
    layers.push(await smallLayer(store, written, options));
    history.push({ created, created_by: `MERGE ${sides.map(({ name }) => name).join(' ')}` });
  }
  const { kubeVersion } = merged;
  const descriptor = await commitImage(
    store,
    {
      ...emptyStage(platform),
      ...settings,
      labels: { ...settings.labels, ...(kubeVersion === undefined ? {} : { [KUBE_VERSION_LABEL]: kubeVersion }) },
      layers,
      history,
    },
    {
      type: typeOf(sides),
      metadata: merged.metadata,
      labels: options.labels,
      annotations: options.annotations,
      created,
      version: options.version,
    },
  );
  return { descriptor, conflicts, layers: layers.length };
}

async function readSide(store: Store, image: LocalImage): Promise<Side> {
  const text = await readRootfsFile(store, image, METADATA_PATH, METADATA_LIMIT);
  const { name, cluster } = image;
  return {
    image,
    name,
    type: cluster?.extension.type ?? 'image',
    metadata: text === undefined ? undefined : parseMetadata(text.toString('utf8'), `${name}: ${METADATA_PATH}`),
  };
}

function sideOf(sides: readonly Side[], index: number): Pick<Side, 'type' | 'metadata'> {
  return sides[index] ?? { type: 'image', metadata: undefined };
}

/** What installs a cluster installs one together with applications; what are containers only stay that. */
function typeOf(sides: readonly Side[]): ClusterImageType | 'image' {
  return IMAGE_TYPES.find((type) => sides.some((side) => side.type === type)) ?? 'image';
}

/** The newest of the images, so that the same images give the same image again. */
function createdTime(sides: readonly Side[], { epoch }: Pick<MergeOptions, 'epoch'>): string {
  if (epoch !== undefined) return new Date(epoch * 1000).toISOString().replace(/\.000Z$/, 'Z');
  const times = sides.flatMap(({ image }) => (image.config.created === undefined ? [] : [image.config.created]));
  return times.sort((a, b) => Date.parse(a) - Date.parse(b)).at(-1) ?? '1970-01-01T00:00:00Z';
}

/** Metadata and image lists, where putting them together gives something else than what is on top. */
async function writtenByRule(
  store: Store,
  sides: readonly Side[],
  stack: Stack,
  layers: readonly StoredLayer[],
  { metadata }: MergedMetadata,
): Promise<PackEntry[]> {
  const entries: PackEntry[] = [];
  const put = (path: string, text: string, found: MergedEntry): void => {
    const bytes = Buffer.from(text);
    const { mode, uid, gid } = found.entry;
    entries.push({ path, type: 'file', mode, uid, gid, mtime: 0, size: bytes.length, content: { bytes } });
  };
  for (const path of LISTS) {
    const texts: string[] = [];
    for (const [index, { image }] of sides.entries()) {
      const text = await readText(store, layersOf(image), stack.trees[index]?.get(path), LIST_LIMIT);
      if (text !== undefined) texts.push(text);
    }
    const top = stack.tree.get(path);
    const united = uniteLines(texts);
    if (top !== undefined && united !== (await readText(store, layers, top, LIST_LIMIT))) put(path, united, top);
  }
  const top = stack.tree.get(METADATA_PATH);
  if (metadata === undefined || top === undefined) return entries;
  const text = await readText(store, layers, top, METADATA_LIMIT);
  if (text === undefined || !sameJson(parseMetadata(text, METADATA_PATH), metadata))
    put(METADATA_PATH, `${JSON.stringify(metadata, null, 2)}\n`, top);
  return entries;
}

async function readText(
  store: Store,
  layers: readonly StoredLayer[],
  found: MergedEntry | undefined,
  limit: number,
): Promise<string | undefined> {
  const layer = found?.source === undefined ? undefined : layers[found.source.layer];
  if (found?.source === undefined || layer === undefined) return undefined;
  return (await readLayerFile(store, layer, found.source.entry, limit)).toString('utf8');
}

/** The lines of all texts, each once; one text stays as it is. */
function uniteLines(texts: readonly string[]): string {
  const [first = '', ...others] = texts;
  const have = new Set(first.split('\n').map((line) => line.trim()));
  const added: string[] = [];
  for (const line of others.flatMap((text) => text.split('\n'))) {
    const key = line.trim();
    if (key === '' || have.has(key)) continue;
    have.add(key);
    added.push(line.trimEnd());
  }
  if (added.length === 0) return first;
  return `${first.trimEnd()}\n${added.join('\n')}\n`;
}

function sameJson(a: Metadata, b: Metadata): boolean {
  const sorted = (value: Metadata): string =>
    JSON.stringify(Object.entries(value).sort(([x], [y]) => (x < y ? -1 : 1)));
  return sorted(a) === sorted(b);
}

async function smallLayer(
  store: Store,
  files: readonly PackEntry[],
  { epoch, signal }: Pick<MergeOptions, 'epoch' | 'signal'>,
): Promise<StoredLayer> {
  const mtime = neutralTime({ epoch });
  const entries = files.map((entry) => ({ ...entry, mtime }));
  if (entries.some(({ path }) => path.startsWith('manifests/')))
    entries.push({ path: 'manifests', type: 'dir', mode: 0o755, uid: 0, gid: 0, mtime, size: 0 });
  const file = await store.temp.path('layer');
  const packed = await packLayer(
    entries.sort((a, b) => (a.path < b.path ? -1 : 1)),
    file,
    { compression: 'gzip', signal },
  );
  return adoptLayer(store, file, packed);
}

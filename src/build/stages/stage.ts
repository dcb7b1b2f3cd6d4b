import type { Application, ContainerImage } from '../../image/cluster-image.js';
import { LABELS } from '../../image/cluster-image.js';
import { type Digest, digestOf } from '../../image/digest.js';
import type { History } from '../../image/oci.js';
import type { Platform } from '../../image/platform.js';
import { type MergedTree, mergeTocs } from '../../layers/merge.js';
import type { LayerToc } from '../../layers/toc.js';
import { layersOf, readToc, type StoredLayer } from '../../store/layer-store.js';
import type { LocalImage } from '../../store/local-image.js';
import type { Store } from '../../store/store.js';
import { type DockerSettings, inheritedSettings } from '../config/docker-settings.js';
import { plannedLayer } from '../planned-layers.js';

/** A stage of a build after some of its instructions. Never changed in place: every instruction makes a new one. */
export interface StageState {
  readonly platform: Platform;
  readonly layers: readonly StoredLayer[];
  /** As in the image config: one for each layer, and one with `empty_layer` for each instruction that made none. */
  readonly history: readonly History[];
  readonly env: Readonly<Record<string, string>>;
  /** ARGs declared so far in this stage; they end with it. */
  readonly args: Readonly<Record<string, string>>;
  /** Variables that instructions see without declaring them. */
  readonly predefined: Readonly<Record<string, string>>;
  /** ARGs from before the first FROM; a stage sees one only when it declares the name again. */
  readonly globalArgs: Readonly<Record<string, string>>;
  readonly labels: Readonly<Record<string, string>>;
  readonly workdir: string;
  readonly user: string;
  readonly shell: readonly string[];
  readonly author: string | undefined;
  /** Of an ordinary container image (`# dialect=docker`). */
  readonly entrypoint: readonly string[] | undefined;
  readonly cmd: readonly string[] | undefined;
  /** The CMD is of this stage, and not of its base image: an ENTRYPOINT leaves it alone. */
  readonly ownCmd: boolean;
  readonly docker: DockerSettings;
  /** Of a ClusterImage: what runs on the first master, in order, those of base images first. */
  readonly launchCmds: readonly string[];
  readonly appNames: readonly string[];
  readonly applications: readonly Application[];
  readonly containerImages: readonly ContainerImage[];
  /** Identity of everything so far: the cache key of the next instruction builds on it. */
  readonly key: Digest;
}

export const DEFAULT_SHELL: readonly string[] = ['/bin/sh', '-c'];

/** `FROM scratch`. */
export function emptyStage(platform: Platform): StageState {
  return {
    platform,
    layers: [],
    history: [],
    env: {},
    args: {},
    predefined: {},
    globalArgs: {},
    labels: {},
    workdir: '/',
    user: '',
    shell: DEFAULT_SHELL,
    author: undefined,
    entrypoint: undefined,
    cmd: undefined,
    ownCmd: false,
    docker: {},
    launchCmds: [],
    appNames: [],
    applications: [],
    containerImages: [],
    key: digestOf(`scratch ${platform.os}/${platform.architecture}/${platform.variant ?? ''}`),
  };
}

/** `FROM image`: its layers, config, labels, launch commands and applications are inherited. */
export function stageFrom(image: LocalImage): StageState {
  const { config, cluster, platform, descriptor } = image;
  const settings = config.config;
  const labels = { ...settings?.Labels, ...cluster?.extension.labels };
  // What Metadata implies is derived again at the end of the build.
  for (const name of [LABELS.runtimeType, LABELS.runtimeVersion]) delete labels[name];
  return {
    ...emptyStage(platform),
    layers: layersOf(image),
    history: config.history ?? [],
    env: { ...envFromList(settings?.Env ?? []), ...cluster?.extension.env },
    labels,
    workdir: settings?.WorkingDir || '/',
    user: settings?.User ?? '',
    shell: settings?.Shell ?? DEFAULT_SHELL,
    author: config.author,
    entrypoint: settings?.Entrypoint,
    cmd: settings?.Cmd,
    docker: inheritedSettings(settings),
    launchCmds: cluster?.extension.launch.cmds ?? [],
    appNames: cluster?.extension.launch.app_names ?? [],
    applications: cluster?.extension.applications ?? [],
    containerImages: cluster?.containerImages ?? [],
    key: digestOf(`image ${descriptor.digest}`),
  };
}

/** The next state when an instruction made layers (none is possible), given what it was. */
export function withLayers(
  state: StageState,
  layers: readonly StoredLayer[],
  history: readonly History[],
  key: Digest,
): StageState {
  return { ...state, layers: [...state.layers, ...layers], history: [...state.history, ...history], key };
}

/** The table of contents of a layer of a stage, also of one that is only planned. */
export async function layerToc(store: Store, layer: StoredLayer): Promise<LayerToc> {
  return plannedLayer(layer)?.toc ?? readToc(store, layer);
}

const trees = new WeakMap<readonly StoredLayer[], Promise<MergedTree>>();

/** The merged tree of a stage, made from tables of contents alone: nothing is unpacked. */
export function stageTree(store: Store, { layers }: StageState): Promise<MergedTree> {
  let tree = trees.get(layers);
  if (tree === undefined) {
    tree = (async () => {
      const tocs = [];
      for (const layer of layers) tocs.push(await layerToc(store, layer));
      return mergeTocs(tocs);
    })();
    trees.set(layers, tree);
  }
  return tree;
}

/** The cache key of what follows `key` when `facts` happen. */
export function nextKey(key: Digest, ...facts: readonly unknown[]): Digest {
  return digestOf(JSON.stringify([key, ...facts]));
}

function envFromList(list: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    list.map((item) => {
      const equals = item.indexOf('=');
      return equals < 0 ? [item, ''] : [item.slice(0, equals), item.slice(equals + 1)];
    }),
  );
}

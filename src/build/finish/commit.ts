import { type ClusterImageType, metadataLabels, writeClusterImage } from '../../image/cluster-image.js';
import { MEDIA } from '../../image/media-types.js';
import type { Metadata } from '../../image/metadata.js';
import { type Descriptor, encodeJson, type ImageConfig, type Manifest } from '../../image/oci.js';
import type { Store } from '../../store/store.js';
import { DEFAULT_SHELL, type StageState } from '../stages/stage.js';
import { DEFAULT_PATH } from '../variables/variables.js';

export interface CommitOptions {
  /** A ClusterImage of this type, or `image`: an ordinary container image. */
  readonly type: ClusterImageType | 'image';
  readonly metadata: Metadata | undefined;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  /** RFC 3339. */
  readonly created: string;
  /** The version of this program, for `buildClient`. */
  readonly version: string;
}

/** Writes the config and manifest of a finished stage. Fields come in a fixed order: equal builds give equal digests. */
export async function commitImage(store: Store, state: StageState, options: CommitOptions): Promise<Descriptor> {
  const labels = {
    ...state.labels,
    ...(options.metadata === undefined ? {} : metadataLabels(options.metadata)),
    ...options.labels,
  };
  const config = await store.putBlob(encodeJson(imageConfig(state, labels, options)));
  const annotations = { ...clusterAnnotations(state, labels, options), ...options.annotations };
  const manifest: Manifest = {
    schemaVersion: 2,
    mediaType: MEDIA.manifest,
    config: { mediaType: MEDIA.config, digest: config.digest, size: config.size },
    layers: state.layers.map(({ descriptor: { mediaType, digest, size } }) => ({ mediaType, digest, size })),
    ...(Object.keys(annotations).length === 0 ? {} : { annotations }),
  };
  const { digest, size } = await store.putBlob(encodeJson(manifest));
  return { mediaType: MEDIA.manifest, digest, size, platform: { ...state.platform } };
}

function imageConfig(
  state: StageState,
  labels: Readonly<Record<string, string>>,
  { created, type }: CommitOptions,
): ImageConfig {
  const { platform, user, workdir, shell, entrypoint, cmd, author } = state;
  // As Docker makes sure of: a container started from the image finds its programs.
  const env = type === 'image' && state.env.PATH === undefined ? { PATH: DEFAULT_PATH, ...state.env } : state.env;
  return {
    created,
    ...(author === undefined ? {} : { author }),
    architecture: platform.architecture,
    os: platform.os,
    ...(platform.variant === undefined ? {} : { variant: platform.variant }),
    config: {
      ...(user === '' ? {} : { User: user }),
      ...(Object.keys(env).length === 0 ? {} : { Env: Object.entries(env).map(([name, value]) => `${name}=${value}`) }),
      ...(entrypoint === undefined ? {} : { Entrypoint: [...entrypoint] }),
      ...(type === 'image' && cmd !== undefined ? { Cmd: [...cmd] } : {}),
      ...(workdir === '/' ? {} : { WorkingDir: workdir }),
      ...(shell.join('\0') === DEFAULT_SHELL.join('\0') ? {} : { Shell: [...shell] }),
      ...(Object.keys(labels).length === 0 ? {} : { Labels: sorted(labels) }),
      ...(type === 'image' ? state.docker : {}),
    },
    rootfs: { type: 'layers', diff_ids: state.layers.map(({ diffId }) => diffId) },
    history: [...state.history],
  };
}

function clusterAnnotations(
  state: StageState,
  labels: Readonly<Record<string, string>>,
  { type, version }: CommitOptions,
): Record<string, string> {
  if (type === 'image') return {};
  return writeClusterImage({
    extension: {
      schemaVersion: 'v1alpha1',
      type,
      applications: [...state.applications],
      labels: sorted(labels),
      env: sorted(state.env),
      launch: { cmds: [...state.launchCmds], app_names: [...state.appNames] },
      buildClient: { slipwayVersion: version },
    },
    containerImages: state.containerImages,
  });
}

function sorted(map: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(map).sort(([a], [b]) => (a < b ? -1 : 1)));
}

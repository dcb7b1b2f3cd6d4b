import { allowsKubeVersion, isKubeVersionRange, KUBE_VERSION_LABEL } from '../../image/applications.js';
import type { ClusterImageType } from '../../image/cluster-image.js';
import type { Metadata } from '../../image/metadata.js';
import type { Descriptor } from '../../image/oci.js';
import type { Stage } from '../../kubefile-parser/ast.js';
import type { StoredLayer } from '../../store/layer-store.js';
import { checkApplications } from '../apps/launch.js';
import { collectContainerImages } from '../collect/base.js';
import type { ImageCollection } from '../collect/collection.js';
import { type BuildJob, createdTime } from '../job.js';
import type { StageState } from '../stages/stage.js';
import { commitImage } from './commit.js';
import { finishMetadata } from './metadata.js';

/** What a build is told about the image as a whole. */
export interface FinishOptions {
  readonly type?: ClusterImageType;
  /** `lite`: no container images are collected unless a BASE instruction says so. */
  readonly mode: 'all' | 'lite';
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly images: ImageCollection;
  /** The version of this program. */
  readonly version: string;
}

export interface FinishedImage {
  /** Of the manifest. */
  readonly descriptor: Descriptor;
  readonly layers: readonly StoredLayer[];
}

/** What comes after the last instruction: container images nobody asked for by BASE, Metadata, config, manifest. It has no name yet. */
export async function finishImage(
  job: BuildJob,
  built: StageState,
  stages: readonly Stage[],
  options: FinishOptions,
): Promise<FinishedImage> {
  const cluster = job.kubefile.directives.dialect === 'kubefile' || options.type !== undefined;
  let state = built;
  let metadata: Awaited<ReturnType<typeof finishMetadata>>['metadata'];
  if (cluster) {
    checkApplications(state.applications);
    const asked = stages.some(({ instructions }) => instructions.some(({ kind }) => kind === 'BASE'));
    if (options.images.lists.length > 0 || (!asked && options.mode === 'all')) {
      state = (
        await collectContainerImages(job, state, { source: 'BASE rootfs cache', dir: '/' }, options.images.lists)
      ).state;
    }
    ({ state, metadata } = await finishMetadata(job, state, options.type ?? 'kube-installer'));
    warnOfKubeVersion(job, state, metadata);
  }
  const descriptor = await commitImage(job.store, state, {
    type: cluster ? (options.type ?? 'kube-installer') : 'image',
    metadata,
    labels: options.labels,
    annotations: options.annotations,
    created: imageTime(state, job),
    version: options.version,
  });
  return { descriptor, layers: state.layers };
}

/** An image that "run" will refuse can be built: it may be the base of another one. */
function warnOfKubeVersion({ reporter }: BuildJob, { labels }: StageState, metadata: Metadata | undefined): void {
  const constraint = labels[KUBE_VERSION_LABEL];
  const version = metadata?.version;
  if (!constraint || !version || !isKubeVersionRange(constraint) || allowsKubeVersion(constraint, version)) return;
  reporter.warn(`KUBEVERSION ${constraint}: the image installs ${version}, "slipway run" will refuse it`);
}

/** The image is as old as its newest layer, so that a build taken whole from the cache gives the image it gave before. */
function imageTime({ history }: StageState, job: BuildJob): string {
  const times = history.flatMap(({ created }) => (created === undefined ? [] : [created]));
  return times.sort((a, b) => Date.parse(a) - Date.parse(b)).at(-1) ?? createdTime(job);
}

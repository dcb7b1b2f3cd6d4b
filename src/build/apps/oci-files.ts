import { createWriteStream } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { fileSystemError, isSlipwayError, SlipwayError } from '../../base/errors.js';
import { makeDirectory } from '../../base/make-directory.js';
import { choosePlatform } from '../../image/choose-platform.js';
import { MEDIA } from '../../image/media-types.js';
import type { Descriptor, Manifest } from '../../image/oci.js';
import { findImage, readDocument, readImageAt } from '../../store/local-image.js';
import type { BuildJob } from '../job.js';
import { type StageState, stageFrom } from '../stages/stage.js';
import { unpackChart, unpackFiles } from './chart.js';

/** helm: https://helm.sh/docs/topics/registries, "Helm chart manifest". */
const CHART = 'application/vnd.cncf.helm.chart.content.v1.tar+gzip';
const PROVENANCE = 'application/vnd.cncf.helm.chart.provenance.v1.prov';
/** ORAS: a layer is a file of this name, or a packed directory that is to be unpacked. */
const TITLE = 'org.opencontainers.image.title';
const UNPACK = 'io.deis.oras.content.unpack';

/** What is behind a name of a registry: a file system, or files that are brought here. */
export type OciFiles =
  | { readonly kind: 'image'; readonly image: StageState }
  /** Directories, to be laid upon each other. */
  | { readonly kind: 'files'; readonly dirs: readonly string[] };

/**
 * Fetches an image or an artifact (a chart, files of ORAS), or finds it in the store; `--pull` decides as for FROM.
 * @param dir a directory of our own, is made when there are files.
 * @throws SlipwayError E_UNSUPPORTED for an artifact without files, E_UNSAFE_ARCHIVE for file names that leave the directory …
 */
export async function ociFiles(job: BuildJob, name: string, dir: string): Promise<OciFiles> {
  const descriptor = await findManifest(job, name);
  const document = await readDocument(job.store, descriptor, name);
  if (document.kind !== 'manifest') throw new SlipwayError('E_INVALID_MANIFEST', `${name}: an index within an index`);
  const { manifest } = document;
  const config = manifest.config.mediaType;
  const isImage = (config === MEDIA.config && manifest.artifactType === undefined) || config === MEDIA.dockerConfig;
  // ORAS before 1.1 gave its files the config of an image that has no layers in it.
  if (isImage && !manifest.layers.some((layer) => fileName(layer) !== undefined || layer.mediaType === CHART))
    return { kind: 'image', image: stageFrom(await readImageAt(job.store, name, descriptor, job.platform)) };
  return { kind: 'files', dirs: await artifactFiles(job, manifest, name, dir) };
}

/** The manifest for the platform of the build. Nothing gets a name in the store: what was fetched is only used. */
async function findManifest(
  { store, pull, registry, reporter, platform }: BuildJob,
  name: string,
): Promise<Descriptor> {
  if (pull !== 'always') {
    try {
      let { descriptor } = await findImage(store, name);
      for (let depth = 0; depth < 3; depth++) {
        const document = await readDocument(store, descriptor, name);
        if (document.kind === 'manifest') break;
        descriptor = choosePlatform(document.index.manifests, platform, name);
      }
      return descriptor;
    } catch (error) {
      if (!isSlipwayError(error, 'E_NOT_FOUND')) throw error;
      if (pull === 'never')
        throw new SlipwayError('E_NOT_FOUND', `${error.message}, and --pull=never forbids to ask a registry`, {
          cause: error,
        });
    }
  }
  const { fetchImage } = await import('../../registry/pull.js'); // most builds ask no registry
  return (await fetchImage(store, name, { ...registry, platform, reporter })).descriptor;
}

/** Every layer gets a directory of its own: a link in one must not lead astray what another writes. */
async function artifactFiles(
  { store, signal }: BuildJob,
  { layers }: Manifest,
  name: string,
  dir: string,
): Promise<string[]> {
  const chart = layers.find(({ mediaType }) => mediaType === CHART);
  if (chart !== undefined)
    return [await unpackChart(store.openBlob(chart.digest), join(dir, 'chart'), `the chart ${name}`, signal)];
  const dirs: string[] = [];
  for (const [index, layer] of layers.entries()) {
    const file = fileName(layer);
    if (file === undefined || layer.mediaType === PROVENANCE) continue;
    const own = join(dir, String(index));
    dirs.push(own);
    const content = store.openBlob(layer.digest);
    if (layer.annotations?.[UNPACK] === 'true') await unpackFiles(content, own, signal);
    else await writeFile(content, join(own, safePath(file, name)), signal);
  }
  if (dirs.length > 0) return dirs;
  throw new SlipwayError('E_UNSUPPORTED', `${name} is an artifact without files`, {
    hint: 'oci:// takes images, charts ("helm push"), and files with titles ("oras push")',
  });
}

async function writeFile(content: Readable, path: string, signal: AbortSignal): Promise<void> {
  try {
    await makeDirectory(dirname(path));
    await pipeline(content, createWriteStream(path, { flags: 'wx' }), { signal });
  } catch (error) {
    throw fileSystemError(error, `writing ${path}`);
  }
}

function fileName({ annotations }: Descriptor): string | undefined {
  return annotations?.[TITLE] || undefined;
}

/** @throws SlipwayError E_UNSAFE_ARCHIVE when a title is no path inside a directory. */
function safePath(title: string, name: string): string {
  const parts = title.split('/').filter((part) => part !== '' && part !== '.');
  if (parts.length > 0 && !title.startsWith('/') && !parts.includes('..') && !title.includes('\0'))
    return parts.join('/');
  throw new SlipwayError(
    'E_UNSAFE_ARCHIVE',
    `${name} has a file ${JSON.stringify(title.slice(0, 200))}, which leads out of its directory`,
  );
}

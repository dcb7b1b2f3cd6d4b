import { SlipwayError } from '../../base/errors.js';
import { readClusterImage } from '../../image/cluster-image.js';
import { type Digest, hexOf } from '../../image/digest.js';
import { type Compression, compressionOf, isNondistributable, MEDIA } from '../../image/media-types.js';
import { CONFIG_LIMIT, type Descriptor, type ImageDocument, type Manifest, parseImageConfig } from '../../image/oci.js';
import { openLayerStream } from '../../layers/layer-stream.js';
import { readBounded } from '../bounded.js';
import type { ContentTarget } from '../content.js';
import type { Output } from './output.js';
import { TarMembersOut } from './tar-members-out.js';
import { verified } from './verified.js';

/** One image of `manifest.json`; docker's image/tarexport. */
interface ArchiveEntry {
  readonly Config: string;
  readonly RepoTags: readonly string[] | null;
  readonly Layers: readonly string[];
}

/** A `docker load` archive that is being written. */
export interface DockerArchiveWriter {
  readonly content: ContentTarget;
  /** Names an image all of whose content is there. @param tag `[host/]repository:tag`; undefined leaves it without a name. */
  add(digest: Digest, tag: string | undefined): void;
  /** Writes `manifest.json`, the last file. */
  end(): Promise<void>;
}

const CONFIG_TYPES: readonly string[] = [MEDIA.config, MEDIA.dockerConfig];

/**
 * Begins a `docker load` archive: `manifest.json`, configs, and layers as uncompressed tars named by their diffID. The format has no place for
 * manifests: their digests, annotations and the compression of layers are not kept, but ids of images are. An index cannot be put into it.
 *
 * The header of a file comes before its content and says its size. In a file it is written when the layer has been unpacked; on a pipe a
 * compressed layer is read once to learn its size, and again to be written.
 * @throws SlipwayError (while it is written) E_DIGEST_MISMATCH, E_UNSUPPORTED for what is no image of file layers.
 */
export function dockerArchive(output: Output): DockerArchiveWriter {
  const members = new TarMembersOut(output);
  const files = new Set<string>();
  /** What compressed layers unpack to. */
  const diffIds = new Map<Digest, Digest>();
  const configs = new Map<Digest, Buffer>();
  const images = new Map<Digest, { readonly entry: Omit<ArchiveEntry, 'RepoTags'>; readonly tags: string[] }>();
  const refuse = (what: string, hint = 'use an OCI archive'): never => {
    throw new SlipwayError('E_UNSUPPORTED', `${what} cannot be put into a docker archive`, { hint });
  };

  const pushConfig = async (descriptor: Descriptor, content: AsyncIterable<Uint8Array>): Promise<void> => {
    const bytes = await readBounded(verified(content, descriptor), CONFIG_LIMIT);
    if (bytes === undefined)
      throw new SlipwayError('E_INVALID_MANIFEST', `config ${descriptor.digest} has more than ${CONFIG_LIMIT} bytes`);
    configs.set(descriptor.digest, bytes);
    const file = configName(descriptor.digest);
    if (!files.has(file)) await members.file(file, bytes);
    files.add(file);
  };

  const pushLayer = async (
    layer: Descriptor,
    compression: Compression,
    open: () => AsyncIterable<Uint8Array>,
    onProgress: (bytes: number) => void,
  ): Promise<void> => {
    const unpack = () => openLayerStream(verified(open(), layer) as AsyncIterable<Buffer>, compression, {}, onProgress);
    let content = unpack();
    let path = '';
    const learn = (): string | undefined => {
      diffIds.set(layer.digest, content.diffId());
      path = layerName(diffIds.get(layer.digest) ?? layer.digest);
      return files.has(path) ? undefined : path;
    };
    if (compression === 'none') {
      // what is verified is its digest, which is its diffID
      diffIds.set(layer.digest, layer.digest);
      path = layerName(layer.digest);
      if (!files.has(path)) await members.write(members.reserve(path, layer.size), content.tar);
    } else if (members.seekable) {
      await members.unknown(content.tar, learn);
    } else {
      for await (const _ of content.tar) {
        // only its size and name are wanted
      }
      const size = content.unpackedSize();
      const place = learn();
      onProgress(-layer.size);
      content = unpack();
      if (place !== undefined) await members.write(members.reserve(place, size), content.tar);
    }
    files.add(path);
  };

  return {
    content: {
      label: output.label,
      parallel: 1,
      has: async ({ digest }) => configs.has(digest) || diffIds.has(digest) || images.has(digest),
      async pushBlob(descriptor, open, onProgress) {
        const { size, mediaType } = descriptor;
        const compression = compressionOf(mediaType);
        if (CONFIG_TYPES.includes(mediaType)) await pushConfig(descriptor, open(0, size));
        else if (compression !== undefined) await pushLayer(descriptor, compression, () => open(0, size), onProgress);
        else refuse(mediaType);
        return 'copied';
      },
      async pushDocument({ descriptor, document }) {
        if (document.kind === 'index') return refuse('an image for several platforms', 'choose one with --platform');
        images.set(descriptor.digest, { entry: entryOf(document.manifest, configs, diffIds), tags: [] });
      },
    },
    add(digest, tag) {
      if (tag !== undefined) images.get(digest)?.tags.push(tag);
    },
    async end() {
      // One image with two names is one entry, as docker writes it.
      const byConfig = new Map<string, ArchiveEntry>();
      for (const { entry, tags } of images.values()) {
        const all = [...(byConfig.get(entry.Config)?.RepoTags ?? []), ...tags];
        byConfig.set(entry.Config, {
          Config: entry.Config,
          RepoTags: all.length === 0 ? null : all,
          Layers: entry.Layers,
        });
      }
      const entries = [...byConfig.values()];
      await members.file('manifest.json', Buffer.from(JSON.stringify(entries)));
      await members.end();
    },
  };
}

/**
 * What an image loses in a docker archive that the person should know: without its annotations a ClusterImage is an ordinary image.
 * @returns undefined when there is nothing to say.
 */
export function dockerArchiveLoss(document: ImageDocument, name: string): string | undefined {
  if (document.kind === 'index' || readClusterImage(document.manifest, name) === undefined) return undefined;
  return `${name}: a docker archive loses launch commands and the list of container images; use an OCI archive to launch it elsewhere`;
}

/** Config and layers must agree: whoever loads the archive only has the config to go by. */
function entryOf(
  { config, layers }: Manifest,
  configs: ReadonlyMap<Digest, Buffer>,
  diffIds: ReadonlyMap<Digest, Digest>,
): Omit<ArchiveEntry, 'RepoTags'> {
  const { rootfs } = parseImageConfig(configs.get(config.digest) ?? Buffer.alloc(0), `config ${config.digest}`);
  const names: string[] = [];
  for (const [index, layer] of layers.entries()) {
    if (isNondistributable(layer.mediaType)) {
      throw new SlipwayError(
        'E_UNSUPPORTED',
        `layer ${layer.digest} may not be distributed, and the image cannot be loaded without it`,
      );
    }
    const diffId = diffIds.get(layer.digest);
    if (diffId === undefined || diffId !== rootfs.diff_ids[index]) {
      throw new SlipwayError(
        'E_DIGEST_MISMATCH',
        `layer ${layer.digest} does not unpack to ${rootfs.diff_ids[index]}`,
        {
          hint: 'the image is damaged: pull or build it again',
        },
      );
    }
    names.push(layerName(diffId));
  }
  if (names.length !== rootfs.diff_ids.length) {
    throw new SlipwayError(
      'E_INVALID_MANIFEST',
      `the manifest has ${names.length} layers, its config ${rootfs.diff_ids.length}`,
    );
  }
  return { Config: configName(config.digest), Layers: names };
}

function layerName(diffId: Digest): string {
  return `${hexOf(diffId)}.tar`;
}

function configName(digest: Digest): string {
  return `${hexOf(digest)}.json`;
}

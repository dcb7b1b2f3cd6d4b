import { isSlipwayError, SlipwayError } from '../../base/errors.js';
import type { Reporter } from '../../base/reporter.js';
import { MEDIA } from '../../image/media-types.js';
import { METADATA_PATH, type Metadata, parseMetadata } from '../../image/metadata.js';
import { type Descriptor, encodeJson } from '../../image/oci.js';
import { TAR_BLOCK, tarPadding, writeTarHeader } from '../../layers/tar-header.js';
import { readTar, type TarMember } from '../../layers/tar-reader.js';
import type { BlobIdentity, BlobWriter } from '../../store/blobs.js';
import type { Store } from '../../store/store.js';
import { storeSource } from '../store-content.js';
import type { ImageSet } from './image-set.js';
import type { FoundImage } from './layout-index.js';
import { readPlaced } from './placed-files.js';
import {
  convertSealerImage,
  parseSealerImage,
  parseSealerNames,
  sealerLayers,
  sealerPlatform,
} from './sealer-documents.js';
import { isSealerMember, SEALER_METADATA } from './sealer-names.js';
import type { TarFiles } from './tar-files.js';

/** Bytes of one document of an archive. */
const DOCUMENT_LIMIT = 4 * 1024 * 1024;

/** True for an archive that sealer 0.8 has saved: layers file by file, and images as YAML. */
export async function isSealerArchive(files: TarFiles): Promise<boolean> {
  if ((await files.size(SEALER_METADATA)) === undefined) return false;
  for (const path of files.paths()) if (isSealerMember(path)) return true;
  return false;
}

/**
 * Makes OCI images of those that sealer 0.8 has saved: `Metadata` (names), `ID.yaml` (`kind: Image`), `LAYER/…` (the files of a layer, whiteouts as
 * in OCI). Layers are packed anew into the store: the digests that sealer computed of them cannot be computed again, so nothing but the tar itself
 * is verified. Symbolic links are lost already: sealer 0.8 wrote them without where they lead, and left them out itself.
 * @throws SlipwayError E_BAD_ARCHIVE.
 */
export async function sealerImages(
  store: Store,
  files: TarFiles,
  { reporter, signal }: { readonly reporter: Reporter; readonly signal?: AbortSignal | undefined },
): Promise<ImageSet> {
  const { label } = files;
  const document = async (path: string): Promise<Buffer> => {
    const bytes = await readPlaced(files, path, DOCUMENT_LIMIT);
    if (bytes === undefined) throw new SlipwayError('E_BAD_ARCHIVE', `${label} lacks ${path}`);
    return bytes;
  };
  const names = parseSealerNames(await document(SEALER_METADATA), `${label}: ${SEALER_METADATA}`);
  const saved = [];
  for (const [name, { manifests = [] }] of Object.entries(names)) {
    const parts = [];
    for (const { id, created } of manifests) {
      const what = `${label}: ${id}.yaml`;
      const image = parseSealerImage(await document(`${id}.yaml`), what);
      parts.push({ image, created, layers: sealerLayers(image, what) });
    }
    if (parts.length === 0) throw new SlipwayError('E_BAD_ARCHIVE', `${label}: ${name} has no images`);
    saved.push({ name, parts });
  }
  const wanted = new Set(saved.flatMap(({ parts }) => parts.flatMap(({ layers }) => layers)));
  const packed = await packLayers(store, files, wanted, reporter, signal);
  const images: FoundImage[] = [];
  for (const { name, parts } of saved) {
    const manifests: Descriptor[] = [];
    for (const { image, created, layers } of parts) {
      const blobs = layers.map((layer) => packed.get(layer) ?? lacks(label, layer));
      const metadata = await rootfsMetadata(files, layers);
      const converted = convertSealerImage(
        image,
        blobs.map(({ digest }) => digest),
        { created, metadata },
      );
      const config = await store.putBlob(encodeJson(converted.config));
      const manifest = await store.putBlob(
        encodeJson({
          schemaVersion: 2,
          mediaType: MEDIA.manifest,
          config: { mediaType: MEDIA.config, ...config },
          layers: blobs.map((blob) => ({ mediaType: MEDIA.layerTar, ...blob })),
          annotations: converted.annotations,
        }),
      );
      manifests.push({ mediaType: MEDIA.manifest, ...manifest, platform: { ...sealerPlatform(image) } });
    }
    const [only, second] = manifests;
    if (only === undefined) continue; // said above
    const descriptor: Descriptor =
      second === undefined
        ? { mediaType: only.mediaType, digest: only.digest, size: only.size }
        : {
            mediaType: MEDIA.index,
            ...(await store.putBlob(encodeJson({ schemaVersion: 2, mediaType: MEDIA.index, manifests }))),
          };
    images.push({ name, names: [name], descriptor });
  }
  return { label, content: storeSource(store), images };
}

function lacks(label: string, layer: string): never {
  throw new SlipwayError('E_BAD_ARCHIVE', `${label} lacks the layer ${layer}`);
}

/** Of the highest layer that has one. */
async function rootfsMetadata(files: TarFiles, layers: readonly string[]): Promise<Metadata | undefined> {
  for (const layer of [...layers].reverse()) {
    const path = `${layer}/${METADATA_PATH}`;
    const bytes = await readPlaced(files, path, DOCUMENT_LIMIT);
    if (bytes === undefined) continue;
    try {
      return parseMetadata(bytes.toString('utf8'), `${files.label}: ${path}`);
    } catch (error) {
      if (!isSlipwayError(error, 'E_INVALID_METADATA')) throw error;
      return undefined; // whoever runs the image is told
    }
  }
  return undefined;
}

/** Packs the layers in one pass through the archive. */
async function packLayers(
  store: Store,
  files: TarFiles,
  wanted: ReadonlySet<string>,
  reporter: Reporter,
  signal: AbortSignal | undefined,
): Promise<ReadonlyMap<string, BlobIdentity>> {
  const done = new Map<string, BlobIdentity>();
  const seen = new Set<string>();
  let lost = 0;
  let current: LayerPacker | undefined;
  const task = reporter.task('pack layers');
  async function* told(): AsyncGenerator<Buffer, void, void> {
    for await (const piece of files.whole(signal)) {
      task.advance(piece.length);
      yield piece;
    }
  }
  const finish = async (): Promise<void> => {
    const ending = current;
    current = undefined;
    if (ending !== undefined) done.set(ending.layer, await ending.end());
  };
  try {
    await readTar(told(), {
      async member(member) {
        const slash = member.path.indexOf('/');
        const layer = member.path.slice(0, Math.max(0, slash));
        if (current !== undefined) current.skipping = true;
        if (!wanted.has(layer)) return;
        // Several images, or one that has a layer twice, repeat it.
        if (seen.has(member.path)) return;
        seen.add(member.path);
        if (current?.layer !== layer) {
          if (done.has(layer))
            throw new SlipwayError('E_BAD_ARCHIVE', `${files.label}: the layer ${layer} is in several parts`);
          await finish();
          current = new LayerPacker(layer, await store.newBlob());
        }
        current.skipping = false;
        if (!(await current.begin(member, member.path.slice(slash + 1)))) lost++;
      },
      content: (piece) => current?.content(piece),
      end: () => current?.endMember(),
    });
    await finish();
    task.done();
  } catch (error) {
    task.fail();
    throw error;
  } finally {
    await current?.abort();
  }
  if (lost > 0) {
    reporter.warn(
      `${files.label}: ${lost} symbolic ${lost === 1 ? 'link is' : 'links are'} not in the image: sealer 0.8 saved them without where they lead`,
    );
  }
  return done;
}

/** Bytes that are collected before they are written. */
const BUFFER = 256 * 1024;

/** One layer on its way into the store, as a tar of its own. */
class LayerPacker {
  readonly layer: string;
  /** What comes is not of this layer, or has been there. */
  skipping = false;
  readonly #writer: BlobWriter;
  #collected: Buffer[] = [];
  #size = 0;
  #padding = 0;

  constructor(layer: string, writer: BlobWriter) {
    this.layer = layer;
    this.#writer = writer;
  }

  /** @returns false for a link that leads nowhere, which is left out. */
  async begin(member: TarMember, path: string): Promise<boolean> {
    const { type, linkTarget = '', mode, uid, gid, size, xattrs, devMajor, devMinor } = member;
    if (type === 'symlink' && `/${linkTarget}`.endsWith(`/${member.path}`)) {
      this.skipping = true;
      return false;
    }
    const inside = `${this.layer}/`;
    if (type === 'hardlink' && !linkTarget.startsWith(inside))
      throw new SlipwayError('E_BAD_ARCHIVE', `the link ${member.path} leaves its layer`);
    const link = type === 'hardlink' ? linkTarget.slice(inside.length) : linkTarget;
    const block = Buffer.alloc(TAR_BLOCK);
    const entry = {
      ...{ path, type, mode, uid, gid, size, mtime: 0 },
      ...(link === '' ? {} : { linkTarget: link }),
      ...(xattrs === undefined ? {} : { xattrs }),
      ...(devMajor === undefined || devMinor === undefined ? {} : { devMajor, devMinor }),
    };
    const extended = writeTarHeader(block, 0, entry, Math.floor(member.mtime));
    if (extended !== undefined) await this.#add(extended);
    await this.#add(block);
    this.#padding = tarPadding(size);
    return true;
  }

  async content(piece: Buffer): Promise<void> {
    if (!this.skipping) await this.#add(Buffer.from(piece));
  }

  async endMember(): Promise<void> {
    if (!this.skipping && this.#padding > 0) await this.#add(Buffer.alloc(this.#padding));
    this.#padding = 0;
  }

  async end(): Promise<BlobIdentity> {
    await this.#add(Buffer.alloc(2 * TAR_BLOCK));
    await this.#flush();
    return this.#writer.commit();
  }

  abort(): Promise<void> {
    return this.#writer.abort();
  }

  async #add(bytes: Buffer): Promise<void> {
    this.#collected.push(bytes);
    this.#size += bytes.length;
    if (this.#size >= BUFFER) await this.#flush();
  }

  async #flush(): Promise<void> {
    const bytes = Buffer.concat(this.#collected, this.#size);
    this.#collected = [];
    this.#size = 0;
    if (bytes.length > 0) await this.#writer.write(bytes);
  }
}

import { createHash } from 'node:crypto';
import * as z from 'zod';
import { SlipwayError } from '../../base/errors.js';
import { zodProblems } from '../../base/zod-error.js';
import { type Digest, digestOf, hexOf, sha256Digest } from '../../image/digest.js';
import { layerMediaType, MEDIA } from '../../image/media-types.js';
import { CONFIG_LIMIT, type Descriptor, encodeJson, parseImageConfig, parseImageDocument } from '../../image/oci.js';
import { sniffCompression } from '../../layers/decompress.js';
import { openLayerStream } from '../../layers/layer-stream.js';
import type { ContentDocument } from '../content.js';
import type { ImageSet } from './image-set.js';
import type { FoundImage } from './layout-index.js';
import { type PlacedFiles, readPlaced } from './placed-files.js';

/** Bytes of `manifest.json`. */
const DOCUMENT_LIMIT = 16 * 1024 * 1024;

/** docker's image/tarexport; other writers leave fields away or write null. */
const manifestSchema = z.array(
  z.looseObject({
    Config: z.string(),
    RepoTags: z.array(z.string()).nullish(),
    Layers: z.array(z.string()).nullish(),
  }),
);
type ManifestEntry = z.infer<typeof manifestSchema>[number];

/**
 * The images of a docker archive, with OCI manifests made for them. Configs and layers keep their bytes, and with them the ids that docker shows.
 * Layers are nearly always uncompressed: their digest is the one that the config says, and whoever takes them verifies it. Compressed ones keep
 * their compression; they are read here, for their digest is not known.
 * @throws SlipwayError E_BAD_ARCHIVE when something is missing, E_DIGEST_MISMATCH when a compressed layer is not what the config says.
 */
export async function dockerImages(files: PlacedFiles): Promise<ImageSet> {
  const { label } = files;
  const bytes = await readPlaced(files, 'manifest.json', DOCUMENT_LIMIT);
  if (bytes === undefined) {
    throw new SlipwayError('E_BAD_ARCHIVE', `${label} is no docker archive: it has no manifest.json`, {
      hint: 'docker before 1.10 wrote none: load it into a newer one, and save it again',
    });
  }
  const documents = new Map<Digest, ContentDocument>();
  const paths = new Map<Digest, string>();
  const layers = new Map<string, Promise<Descriptor>>();
  const images: FoundImage[] = [];
  for (const entry of parseManifest(bytes, label)) {
    const document = await manifestOf(files, entry, paths, layers);
    documents.set(document.descriptor.digest, document);
    const names = entry.RepoTags ?? [];
    if (names.length === 0) images.push({ name: undefined, names: [], descriptor: document.descriptor });
    for (const name of names) images.push({ name, names: [name], descriptor: document.descriptor });
  }
  const pathOf = (digest: Digest): string => {
    const path = paths.get(digest);
    if (path === undefined) throw new SlipwayError('E_NOT_FOUND', `${label} has no ${digest}`);
    return path;
  };
  return {
    label,
    images,
    content: {
      label,
      async document({ digest }) {
        const found = documents.get(digest);
        if (found === undefined) throw new SlipwayError('E_NOT_FOUND', `${label} has no ${digest}`);
        return found;
      },
      async *open({ digest }, start, end, signal) {
        yield* files.open(pathOf(digest), start, end, signal);
      },
    },
  };
}

/** @param paths gets the places of config and layers. @param known layers that have been looked at: images share them. */
async function manifestOf(
  files: PlacedFiles,
  { Config, Layers }: ManifestEntry,
  paths: Map<Digest, string>,
  known: Map<string, Promise<Descriptor>>,
): Promise<ContentDocument> {
  const { label } = files;
  await sizeOf(files, Config);
  const bytes = (await readPlaced(files, Config, CONFIG_LIMIT)) ?? Buffer.alloc(0);
  const config: Descriptor = { mediaType: MEDIA.config, digest: digestOf(bytes), size: bytes.length };
  checkConfigName(Config, config.digest, label);
  paths.set(config.digest, Config);
  const { rootfs } = parseImageConfig(bytes, `${label}: ${Config}`);
  const names = Layers ?? [];
  if (rootfs.diff_ids.length !== names.length) {
    throw new SlipwayError(
      'E_BAD_ARCHIVE',
      `${label}: ${Config} has ${rootfs.diff_ids.length} layers, manifest.json ${names.length}`,
    );
  }
  const layers: Descriptor[] = [];
  for (const [index, diffId] of rootfs.diff_ids.entries()) {
    const path = names[index] ?? '';
    const key = `${diffId} ${path}`;
    const looked = known.get(key) ?? layerOf(files, path, diffId);
    known.set(key, looked);
    const layer = await looked;
    paths.set(layer.digest, path);
    layers.push(layer);
  }
  const encoded = encodeJson({ schemaVersion: 2, mediaType: MEDIA.manifest, config, layers });
  const descriptor: Descriptor = { mediaType: MEDIA.manifest, digest: digestOf(encoded), size: encoded.length };
  return { descriptor, bytes: encoded, document: parseImageDocument(encoded, MEDIA.manifest, `${label}: ${Config}`) };
}

async function layerOf(files: PlacedFiles, path: string, diffId: Digest): Promise<Descriptor> {
  const size = await sizeOf(files, path);
  const pieces: Buffer[] = [];
  for await (const piece of files.open(path, 0, Math.min(size, 4))) pieces.push(piece);
  const compression = sniffCompression(Buffer.concat(pieces));
  const mediaType = layerMediaType(compression);
  if (compression === 'none') return { mediaType, digest: diffId, size };
  const hash = createHash('sha256');
  async function* hashed(): AsyncGenerator<Buffer, void, void> {
    for await (const piece of files.open(path, 0, size)) {
      hash.update(piece);
      yield piece;
    }
  }
  const content = openLayerStream(hashed(), compression);
  for await (const _ of content.tar) {
    // only its digests are wanted
  }
  const actual = content.diffId();
  if (actual !== diffId) {
    throw new SlipwayError(
      'E_DIGEST_MISMATCH',
      `${files.label}: ${path} unpacks to ${actual}, the config says ${diffId}`,
      {
        hint: 'the archive is damaged: save it again',
      },
    );
  }
  return { mediaType, digest: sha256Digest(hash.digest('hex')), size };
}

/** docker names a config by its digest; then it must be that. */
function checkConfigName(path: string, digest: Digest, what: string): void {
  const hex = /(?:^|[/:])([a-f0-9]{64})(?:\.json)?$/.exec(path)?.[1];
  if (hex === undefined || hex === hexOf(digest)) return;
  throw new SlipwayError('E_DIGEST_MISMATCH', `${what}: ${path} has the digest ${digest}`, {
    hint: 'the archive is damaged: save it again',
  });
}

async function sizeOf(files: PlacedFiles, path: string): Promise<number> {
  const size = await files.size(path);
  if (size !== undefined) return size;
  throw new SlipwayError(
    'E_BAD_ARCHIVE',
    `${files.label}: manifest.json names ${JSON.stringify(path)}, which is not in the archive`,
  );
}

function parseManifest(bytes: Buffer, what: string): z.infer<typeof manifestSchema> {
  let value: unknown;
  try {
    value = JSON.parse(bytes.toString('utf8'));
  } catch (cause) {
    throw new SlipwayError('E_BAD_ARCHIVE', `${what}: manifest.json is not valid JSON`, { cause });
  }
  const parsed = manifestSchema.safeParse(value);
  if (!parsed.success) throw new SlipwayError('E_BAD_ARCHIVE', `${what}: manifest.json: ${zodProblems(parsed.error)}`);
  return parsed.data;
}

import * as z from 'zod';
import { SlipwayError } from '../../base/errors.js';
import { zodProblems } from '../../base/zod-error.js';
import { type Digest, hexOf } from '../../image/digest.js';
import { layerMediaType, MEDIA } from '../../image/media-types.js';
import { CONFIG_LIMIT, type Descriptor, encodeJson, parseImageConfig } from '../../image/oci.js';
import { parseReference } from '../../image/reference.js';
import { sniffCompression } from '../../layers/decompress.js';
import { openLayerStream } from '../../layers/layer-stream.js';
import type { BlobIdentity } from '../../store/blobs.js';
import type { Store } from '../../store/store.js';
import type { Intake } from './intake.js';
import { familiarName } from './layout-index.js';

/** docker's image/tarexport; other writers leave fields away or write null. */
const manifestSchema = z.array(
  z.looseObject({
    Config: z.string(),
    RepoTags: z.array(z.string()).nullish(),
    Layers: z.array(z.string()).nullish(),
  }),
);

/**
 * Makes OCI manifests for the images of a docker archive. Configs and layers keep their bytes, so image ids stay what they were; layers
 * are nearly always uncompressed, and those that are not keep their compression.
 * @throws SlipwayError E_BAD_ARCHIVE when something is missing, E_DIGEST_MISMATCH when a layer is not what the config says.
 */
export async function imagesOfDockerArchive(
  store: Store,
  intake: Intake,
  manifest: Buffer,
  what: string,
): Promise<readonly { readonly name: string | undefined; readonly descriptor: Descriptor }[]> {
  const images: { name: string | undefined; descriptor: Descriptor }[] = [];
  for (const { Config, RepoTags, Layers } of parseManifest(manifest, what)) {
    const config = needed(intake, Config, what);
    checkConfigName(Config, config.digest, what);
    const { rootfs } = parseImageConfig(await store.readBlob(config, CONFIG_LIMIT), `${what}: ${Config}`);
    const paths = Layers ?? [];
    if (rootfs.diff_ids.length !== paths.length) {
      throw new SlipwayError(
        'E_BAD_ARCHIVE',
        `${what}: ${Config} has ${rootfs.diff_ids.length} layers, manifest.json ${paths.length}`,
      );
    }
    const layers: Descriptor[] = [];
    for (const [index, path] of paths.entries()) {
      layers.push(await layerOf(store, needed(intake, path, what), rootfs.diff_ids[index], `${what}: ${path}`));
    }
    const document = encodeJson({
      schemaVersion: 2,
      mediaType: MEDIA.manifest,
      config: { mediaType: MEDIA.config, digest: config.digest, size: config.size },
      layers,
    });
    const descriptor: Descriptor = { mediaType: MEDIA.manifest, ...(await store.putBlob(document)) };
    const names = RepoTags ?? [];
    if (names.length === 0) images.push({ name: undefined, descriptor });
    for (const name of names) images.push({ name: parseReference(familiarName(name)).name, descriptor });
  }
  return images;
}

async function layerOf(
  store: Store,
  { digest, size }: BlobIdentity,
  diffId: Digest | undefined,
  what: string,
): Promise<Descriptor> {
  let head = Buffer.alloc(0);
  for await (const chunk of store.openBlob(digest, { start: 0, end: 3 }) as AsyncIterable<Buffer>)
    head = Buffer.concat([head, chunk]);
  const compression = sniffCompression(head);
  let actual = digest;
  if (compression !== 'none') {
    const content = openLayerStream(store.openBlob(digest), compression);
    for await (const _ of content.tar) {
      // only its digest is wanted
    }
    actual = content.diffId();
  }
  if (actual !== diffId) {
    throw new SlipwayError('E_DIGEST_MISMATCH', `${what} unpacks to ${actual}, the config says ${diffId}`, {
      hint: 'the archive is damaged: save it again',
    });
  }
  return { mediaType: layerMediaType(compression), digest, size };
}

/** docker names a config by its digest; then it must be that. */
function checkConfigName(path: string, digest: Digest, what: string): void {
  const hex = /(?:^|[/:])([a-f0-9]{64})(?:\.json)?$/.exec(path)?.[1];
  if (hex === undefined || hex === hexOf(digest)) return;
  throw new SlipwayError('E_DIGEST_MISMATCH', `${what}: ${path} has the digest ${digest}`, {
    hint: 'the archive is damaged: save it again',
  });
}

function needed(intake: Intake, path: string, what: string): BlobIdentity {
  const found = intake.file(path);
  if (found === undefined)
    throw new SlipwayError('E_BAD_ARCHIVE', `${what}: manifest.json names ${path}, which is not in the archive`);
  return found;
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

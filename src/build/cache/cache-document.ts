import * as z from 'zod';
import { messageOf, SlipwayError } from '../../base/errors.js';
import { zodProblems } from '../../base/zod-error.js';
import { type Digest, isDigest } from '../../image/digest.js';
import type { Descriptor, Manifest } from '../../image/oci.js';
import { cacheRecordSchema } from '../../store/build-cache.js';
import type { StoredLayer } from '../../store/layer-store.js';
import type { KeyedRecord } from './instruction-cache.js';

/** What a build cache is in a registry: an OCI artifact whose config lists the records and whose layers are theirs. */
export const CACHE_ARTIFACT = 'application/vnd.slipway.build-cache.v1+json';
export const CACHE_CONFIG = 'application/vnd.slipway.build-cache.config.v1+json';

const digest = z.custom<Digest>((value) => typeof value === 'string' && isDigest(value));
const documentSchema = z.object({
  version: z.literal(1),
  records: z.array(z.object({ scope: digest, key: digest, record: cacheRecordSchema })),
});

/** The config of a cache artifact, the same for the same records. */
export function encodeCache(records: readonly KeyedRecord[]): Buffer {
  const sorted = [...records].sort((a, b) => (`${a.scope}${a.key}` < `${b.scope}${b.key}` ? -1 : 1));
  return Buffer.from(JSON.stringify({ version: 1, records: sorted }));
}

/** The layers of records, each once. */
export function cacheLayers(records: readonly KeyedRecord[]): readonly Descriptor[] {
  const layers = records.flatMap(({ record }) => record.layers.map(({ descriptor }) => descriptor));
  return [...new Map(layers.map(({ mediaType, digest: id, size }) => [id, { mediaType, digest: id, size }])).values()];
}

/**
 * Reads the config of a cache artifact.
 * @throws SlipwayError E_INVALID_MANIFEST when it is none, or a record names a layer that the artifact does not hold.
 */
export function parseCache(bytes: Uint8Array, { layers }: Pick<Manifest, 'layers'>, what: string): KeyedRecord[] {
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(bytes).toString('utf8'));
  } catch (cause) {
    throw new SlipwayError('E_INVALID_MANIFEST', `${what} is no build cache: ${messageOf(cause)}`, { cause });
  }
  const parsed = documentSchema.safeParse(value);
  if (!parsed.success)
    throw new SlipwayError('E_INVALID_MANIFEST', `${what} is no build cache: ${zodProblems(parsed.error)}`);
  const held = new Map(layers.map((layer) => [layer.digest, layer.size]));
  const whole = ({ descriptor }: StoredLayer): boolean => held.get(descriptor.digest) === descriptor.size;
  if (!parsed.data.records.every(({ record }) => record.layers.every(whole)))
    throw new SlipwayError('E_INVALID_MANIFEST', `${what}: a record names a layer that the cache does not hold`);
  return parsed.data.records;
}

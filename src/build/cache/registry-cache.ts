import { isSlipwayError, messageOf, SlipwayError } from '../../base/errors.js';
import type { Reporter } from '../../base/reporter.js';
import { MEDIA } from '../../image/media-types.js';
import { encodeJson, type Manifest, parseImageDocument } from '../../image/oci.js';
import { parseReference } from '../../image/reference.js';
import { Repository } from '../../registry/client.js';
import { copyGraph } from '../../registry/copy.js';
import type { RegistryOptions } from '../../registry/options.js';
import { remoteSource, remoteTarget } from '../../registry/remote-content.js';
import { storeSource, storeTarget } from '../../registry/store-content.js';
import type { CacheRecord } from '../../store/build-cache.js';
import { verifyLayer } from '../../store/layer-store.js';
import type { Store } from '../../store/store.js';
import { CACHE_ARTIFACT, CACHE_CONFIG, cacheLayers, encodeCache, parseCache } from './cache-document.js';
import type { ImportedCache, KeyedRecord } from './instruction-cache.js';

/** The list of records of a cache that is taken at most, in bytes. */
const RECORDS_LIMIT = 64 * 1024 * 1024;

export interface RegistryCacheOptions {
  readonly registry: RegistryOptions;
  readonly reporter: Reporter;
  readonly signal: AbortSignal;
}

/**
 * Reads the list of a build cache in a registry; its layers come when an instruction asks for them. A cache that cannot be had is a
 * warning: the build only takes longer.
 */
export async function importCache(
  store: Store,
  name: string,
  { registry, reporter, signal }: RegistryCacheOptions,
): Promise<ImportedCache | undefined> {
  const reference = parseReference(name);
  const repository = Repository.of(reference, registry);
  const source = remoteSource(repository);
  let records: readonly KeyedRecord[];
  try {
    records = await readRecords(repository, reference.digest ?? reference.tag ?? 'latest', reference.name, signal);
  } catch (error) {
    if (!isSlipwayError(error) || error.code === 'E_INTERRUPTED') throw error;
    reporter.warn(
      error.code === 'E_NOT_FOUND'
        ? `--cache-from ${reference.name}: there is no such cache yet`
        : `--cache-from ${reference.name} is left out: ${error.message}`,
    );
    return undefined;
  }
  const scopes = new Set(records.map(({ scope }) => scope));
  const byKey = new Map(records.map(({ scope, key, record }) => [`${scope} ${key}`, record]));
  const bring = async (record: CacheRecord): Promise<void> => {
    for (const layer of record.layers) {
      await copyGraph(source, storeTarget(store), layer.descriptor, { reporter, signal });
      await verifyLayer(store, layer);
    }
  };
  return {
    knows: (scope) => scopes.has(scope),
    async fetch(scope, key) {
      const record = byKey.get(`${scope} ${key}`);
      if (record === undefined) return undefined;
      try {
        await bring(record);
        return record;
      } catch (error) {
        if (!isSlipwayError(error) || ['E_INTERRUPTED', 'E_NO_SPACE', 'E_PERMISSION'].includes(error.code)) throw error;
        reporter.warn(`--cache-from ${reference.name}: ${messageOf(error)}; the instruction is run`);
        return undefined;
      }
    },
  };
}

/**
 * Stores records with their layers in a registry, for {@link importCache} on another machine.
 * @throws SlipwayError E_UNAUTHORIZED, E_REGISTRY_UNREACHABLE …
 */
export async function exportCache(
  store: Store,
  name: string,
  records: readonly KeyedRecord[],
  { registry, reporter, signal }: RegistryCacheOptions,
): Promise<void> {
  const reference = parseReference(name);
  const config = await store.putBlob(encodeCache(records));
  const manifest: Manifest = {
    schemaVersion: 2,
    mediaType: MEDIA.manifest,
    artifactType: CACHE_ARTIFACT,
    config: { mediaType: CACHE_CONFIG, ...config },
    layers: [...cacheLayers(records)],
  };
  const { digest, size } = await store.putBlob(encodeJson(manifest));
  const tag = reference.tag ?? 'latest';
  try {
    const target = remoteTarget(Repository.of(reference, registry), { root: { digest, tag } });
    await copyGraph(storeSource(store), target, { mediaType: MEDIA.manifest, digest, size }, { reporter, signal });
  } catch (error) {
    if (!isSlipwayError(error) || error.code === 'E_INTERRUPTED') throw error;
    throw new SlipwayError(error.code, `--cache-to ${reference.name}: ${error.message}`, {
      hint: error.hint ?? 'the image itself was built; only its cache could not be stored',
      cause: error,
    });
  }
}

async function readRecords(
  repository: Repository,
  reference: string,
  name: string,
  signal: AbortSignal,
): Promise<readonly KeyedRecord[]> {
  const { bytes, descriptor } = await repository.fetchManifest(reference, signal);
  const read = parseImageDocument(bytes, descriptor.mediaType, name);
  if (read.kind !== 'manifest' || read.manifest.config.mediaType !== CACHE_CONFIG)
    throw new SlipwayError('E_INVALID_MANIFEST', `${name} is not a build cache`);
  const { config } = read.manifest;
  if (config.size > RECORDS_LIMIT)
    throw new SlipwayError('E_INVALID_MANIFEST', `${name}: the list of the cache has ${config.size} bytes`);
  const chunks: Uint8Array[] = [];
  for await (const chunk of repository.fetchBlob(config, { signal })) chunks.push(chunk);
  return parseCache(Buffer.concat(chunks), read.manifest, name);
}

import type { Digest } from '../../image/digest.js';
import type { BuildCache, CacheRecord } from '../../store/build-cache.js';

/** What instructions made before, as they see it: the cache of this machine, and those of registries behind it. */
export interface InstructionCache {
  /** True when this instruction was ever recorded on this parent: then it is worth hashing content ahead. */
  knows(scope: Digest): Promise<boolean>;
  /** A record whose layers are all in the store now. */
  get(scope: Digest, key: Digest): Promise<CacheRecord | undefined>;
  put(scope: Digest, key: Digest, record: CacheRecord): Promise<void>;
}

/** A record with the two keys that it is found by. */
export interface KeyedRecord {
  readonly scope: Digest;
  readonly key: Digest;
  readonly record: CacheRecord;
}

/** A cache that was made elsewhere. */
export interface ImportedCache {
  knows(scope: Digest): boolean;
  /** A record, its layers brought into the store; undefined when there is none, or they cannot be had. */
  fetch(scope: Digest, key: Digest): Promise<CacheRecord | undefined>;
}

/** An {@link InstructionCache} that remembers what a build asked for and got, or put: that is what `--cache-to` gives to others. */
export interface TrackedCache extends InstructionCache {
  used(): readonly KeyedRecord[];
}

/** The cache of this machine with imported ones behind it. What they give is kept here too: the next build needs no registry. */
export function trackedCache(local: BuildCache, imported: readonly ImportedCache[]): TrackedCache {
  const used = new Map<string, KeyedRecord>();
  const note = (scope: Digest, key: Digest, record: CacheRecord): CacheRecord => {
    used.set(`${scope} ${key}`, { scope, key, record });
    return record;
  };
  return {
    used: () => [...used.values()],
    async knows(scope) {
      return imported.some((cache) => cache.knows(scope)) || (await local.knows(scope));
    },
    async get(scope, key) {
      const own = await local.get(scope, key);
      if (own !== undefined) return note(scope, key, own);
      for (const cache of imported) {
        const record = await cache.fetch(scope, key);
        if (record === undefined) continue;
        await local.put(scope, key, record);
        return note(scope, key, record);
      }
      return undefined;
    },
    async put(scope, key, record) {
      await local.put(scope, key, record);
      note(scope, key, record);
    },
  };
}

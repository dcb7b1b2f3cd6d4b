import type { Digest } from '../../../image/digest.js';
import type { CacheSharing } from '../../../store/cache-mounts.js';
import type { SandboxMount } from '../../sandbox/sandbox-request.js';

/** What a mount may use while it is made and until the command has ended. */
export interface MountUse {
  /** A path where nothing is, of this mount alone; what is made there is gone afterwards. */
  newPlace(): Promise<string>;
  /** To be done when the command has ended or could not be started, last one first. */
  afterwards(step: () => Promise<void>): void;
  /** Makes what several mounts of the command share; the first one makes it. */
  once(name: string, make: () => Promise<string>): Promise<string>;
}

/** A `RUN --mount` that has been looked at and can be made. */
export interface PlannedMount {
  /** What the cache key of the RUN has of it: contents of a bind, options of the others; of a secret never its value. */
  readonly key: readonly unknown[];
  /** The name of the cache it takes in use: caches are taken in the order of their names, so that no two builds wait for each other. */
  readonly cache?: Digest;
  /** Of that cache. */
  readonly sharing?: CacheSharing;
  /** Makes it; undefined when the command finds nothing mounted. */
  readonly make: (use: MountUse) => Promise<SandboxMount | undefined>;
  /** A variable of the command that carries a secret. */
  readonly secretVariable?: { readonly name: string; readonly value: string };
}

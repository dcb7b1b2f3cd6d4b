import type { NamedSource } from '../copy/pick.js';

/** A source of ADD that is somewhere else. */
export interface RemoteSource {
  /** As it may be shown and put into a cache key: without credentials. */
  readonly shown: string;
  /** What its content is at this moment, found out as cheaply as possible. */
  identity(): Promise<readonly unknown[]>;
  /** Brings the content here. `identity` is that of what came. */
  fetch(): Promise<{ readonly source: NamedSource; readonly identity: readonly unknown[] }>;
  /** Removes what was brought here. */
  dispose(): Promise<void>;
}

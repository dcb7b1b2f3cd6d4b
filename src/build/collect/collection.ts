import type { ChartMode } from './rootfs-images.js';

/** What a person says about the container images of a build. */
export interface ImageCollection {
  /** Further image lists, as paths on this machine. */
  readonly lists: readonly string[];
  /** Lists of images that are not to be carried. */
  readonly ignoredLists: readonly string[];
  /** Also what looks like an image in arguments and environment variables. */
  readonly fromArgs: boolean;
  readonly charts: ChartMode;
}

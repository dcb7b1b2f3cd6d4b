import type { ContentSource } from '../content.js';
import type { FoundImage } from './layout-index.js';

/** The images of a layout or an archive. */
export interface ImageSet {
  /** Names the place in messages. */
  readonly label: string;
  readonly content: ContentSource;
  readonly images: readonly FoundImage[];
}

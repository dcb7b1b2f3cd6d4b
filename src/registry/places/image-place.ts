import type { Digest } from '../../image/digest.js';
import type { Descriptor } from '../../image/oci.js';
import type { BlobSource } from '../../store/source-notes.js';
import type { ContentSource, ContentTarget } from '../content.js';

/** An image, or an index of several, at a place that it can be copied from. */
export interface ImageSource {
  /** Names it in messages. */
  readonly label: string;
  readonly content: ContentSource;
  readonly root: Descriptor;
  /** What it is called there, the best name first. */
  readonly names: readonly string[];
  /** The repository that it is in, when it is one of a registry. */
  readonly repository?: BlobSource;
  /** Repositories of a registry that may have a blob. */
  repositoriesWith?(digest: Digest, host: string): Promise<readonly string[]>;
  /** Remembers that a repository has a blob now. */
  note?(digest: Digest, repository: BlobSource): Promise<void>;
}

/** A place that an image can be copied to. */
export interface ImageTarget {
  /** Names it in messages. */
  readonly label: string;
  /** What is there already, when that can be read. */
  readonly known?: ContentSource;
  /** The repository, when it is one of a registry. */
  readonly repository?: BlobSource;
  /** Takes everything that `root` reaches; made when something comes, not before. */
  receive(root: Descriptor, source: ImageSource): Promise<ContentTarget>;
  /** Everything is there: lets it be found. */
  finish(root: Descriptor, source: ImageSource): Promise<void>;
  /** Remembers that a repository has a blob. */
  note?(digest: Digest, repository: BlobSource): Promise<void>;
}

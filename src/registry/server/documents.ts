import { isSlipwayError } from '../../base/errors.js';
import type { Digest } from '../../image/digest.js';
import { successors } from '../../image/graph.js';
import { isIndexType, isManifestType } from '../../image/media-types.js';
import type { Descriptor, ImageDocument } from '../../image/oci.js';
import { readDocument } from '../../store/local-image.js';
import type { Exchange } from './exchange.js';
import { repositoryImages } from './names.js';

export interface RepositoryDocument {
  /** The name in the store that leads to it. */
  readonly name: string;
  readonly descriptor: Descriptor;
  readonly document: ImageDocument;
}

/**
 * Every manifest and index that the names of a repository lead to, each once. What is not here (other platforms of an index) or damaged is
 * passed over: it must not hide the rest.
 */
export async function* repositoryDocuments(
  exchange: Exchange,
  repository: string,
): AsyncGenerator<RepositoryDocument, void, void> {
  const seen = new Set<Digest>();
  for (const { name, descriptor: root } of await repositoryImages(exchange, repository)) {
    const wanted = [root];
    for (let descriptor = wanted.pop(); descriptor !== undefined; descriptor = wanted.pop()) {
      if (seen.has(descriptor.digest)) continue;
      seen.add(descriptor.digest);
      const document = await readIfGood(exchange, descriptor);
      if (document === undefined) continue;
      if (document.kind === 'index') wanted.push(...document.index.manifests);
      yield { name, descriptor, document };
    }
  }
}

/** The name of a repository's image that reaches `digest` without being it; undefined when there is none. */
export async function nameThatNeeds(
  exchange: Exchange,
  repository: string,
  digest: Digest,
): Promise<string | undefined> {
  for await (const { name, document } of repositoryDocuments(exchange, repository))
    if (successors(document).some((next) => next.digest === digest)) return name;
  return undefined;
}

/** What has been deleted from a repository, and no name of it needs: another command may have brought back an image that does. */
export async function isHidden(exchange: Exchange, repository: string, digest: Digest): Promise<boolean> {
  if (!exchange.state.removed.has(repository, digest)) return false;
  for await (const { descriptor, document } of repositoryDocuments(exchange, repository))
    if (descriptor.digest === digest || successors(document).some((next) => next.digest === digest)) return false;
  return true;
}

async function readIfGood({ state }: Exchange, descriptor: Descriptor): Promise<ImageDocument | undefined> {
  if (!isManifestType(descriptor.mediaType) && !isIndexType(descriptor.mediaType)) return undefined;
  try {
    return await readDocument(state.store, descriptor, descriptor.digest);
  } catch (error) {
    if (!isSlipwayError(error)) throw error;
    return undefined;
  }
}

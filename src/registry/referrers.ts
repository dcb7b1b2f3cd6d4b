import * as z from 'zod';
import { SlipwayError } from '../base/errors.js';
import { algorithmOf, type Digest, hexOf } from '../image/digest.js';
import { MEDIA } from '../image/media-types.js';
import { type Descriptor, descriptorSchema, encodeJson, type ImageDocument, type Index } from '../image/oci.js';
import type { Manifests, RemoteDocument } from './manifests.js';
import { allPages, checkPage } from './pages.js';
import { repositoryScope } from './scope.js';
import type { Session } from './session.js';

/** How often a list is written at most. */
const FALLBACK_ROUNDS = 3;

const referrersSchema = z.looseObject({
  manifests: z.preprocess((value) => value ?? [], z.array(descriptorSchema)),
});

/**
 * The manifests of a repository whose `subject` is `digest`; distribution-spec, "Listing Referrers": the API, or for registries without
 * it the index under the tag `ALGORITHM-HEX`.
 * @param artifactType only those of this type.
 */
export async function listReferrers(
  session: Session,
  manifests: Manifests,
  repository: string,
  digest: Digest,
  artifactType?: string,
): Promise<readonly Descriptor[]> {
  const what = `listing what refers to ${repository}@${digest}`;
  const filter = artifactType === undefined ? '' : `?artifactType=${encodeURIComponent(artifactType)}`;
  let offered = false;
  const found = await allPages(
    session,
    {
      method: 'GET',
      target: `/v2/${repository}/referrers/${digest}${filter}`,
      what,
      scopes: [repositoryScope(repository, 'pull')],
      headers: { accept: MEDIA.index },
      expect: [200, 404],
    },
    (page) => {
      offered = true;
      return checkPage(referrersSchema, page, session.host, what).manifests;
    },
  );
  const all = offered ? found : await fallbackReferrers(manifests, digest);
  // A registry may ignore the filter: it says with OCI-Filters-Applied when it did not. Filtering twice does no harm.
  return artifactType === undefined ? all : all.filter((descriptor) => descriptor.artifactType === artifactType);
}

async function fallbackReferrers(manifests: Manifests, digest: Digest): Promise<readonly Descriptor[]> {
  const index = await fallbackIndex(manifests, digest);
  return index === undefined || index === 'occupied' ? [] : index.manifests;
}

/**
 * Makes a pushed manifest that has a `subject` findable on a registry without the referrers API: adds it to the index under the
 * fallback tag; distribution-spec, "Referrers Tag Schema". Clients that do so at the same moment overwrite each other's list; to look at it again
 * afterwards makes that seldom, and the specification knows nothing that prevents it.
 * @throws SlipwayError E_REGISTRY when the tag is an image of somebody else.
 */
export async function addFallbackReferrer(manifests: Manifests, pushed: RemoteDocument): Promise<void> {
  const subject = subjectOf(pushed.document);
  if (subject === undefined) return;
  const tag = fallbackTag(subject.digest);
  for (let round = 0; round < FALLBACK_ROUNDS; round++) {
    const known = await fallbackIndex(manifests, subject.digest);
    if (known === 'occupied') {
      throw new SlipwayError(
        'E_REGISTRY',
        `${pushed.descriptor.digest} cannot be listed among what refers to ${subject.digest}: the tag ${tag} is an image`,
        { hint: 'the registry has no referrers API, so the list lives under that tag: give the image another one' },
      );
    }
    if (known?.manifests.some(({ digest }) => digest === pushed.descriptor.digest)) return;
    const entry: Descriptor = { ...pushed.descriptor, ...describeArtifact(pushed.document) };
    const index: Index = {
      ...(known ?? { schemaVersion: 2, mediaType: MEDIA.index }),
      manifests: [...(known?.manifests ?? []), entry],
    };
    await manifests.push(tag, encodeJson(index), MEDIA.index);
  }
}

/** The manifest that a document is about. */
export function subjectOf(document: ImageDocument): Descriptor | undefined {
  return document.kind === 'index' ? document.index.subject : document.manifest.subject;
}

/** What a referrers list says of a manifest beyond its descriptor: its type (that of the config when it names none) and annotations. */
export function describeArtifact(document: ImageDocument): Partial<Descriptor> {
  const { artifactType, annotations } = document.kind === 'index' ? document.index : document.manifest;
  const type = artifactType ?? (document.kind === 'manifest' ? document.manifest.config.mediaType : undefined);
  return {
    ...(type === undefined ? {} : { artifactType: type }),
    ...(annotations === undefined ? {} : { annotations }),
  };
}

function fallbackTag(digest: Digest): string {
  return `${algorithmOf(digest)}-${hexOf(digest).slice(0, 64)}`;
}

/** The list of referrers; undefined when there is none, `occupied` when its tag stands for something else. */
async function fallbackIndex(manifests: Manifests, digest: Digest): Promise<Index | 'occupied' | undefined> {
  const tag = fallbackTag(digest);
  if ((await manifests.find(tag)) === undefined) return undefined;
  const { document } = await manifests.fetch(tag);
  return document.kind === 'index' ? document.index : 'occupied';
}

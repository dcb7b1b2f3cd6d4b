import { SlipwayError } from '../base/errors.js';
import { type Digest, digestAs, digestOf, isDigest, parseDigest } from '../image/digest.js';
import { isIndexType, isManifestType, MEDIA } from '../image/media-types.js';
import { type Descriptor, type ImageDocument, MANIFEST_LIMIT, parseImageDocument } from '../image/oci.js';
import { repositoryScope, type Scope } from './scope.js';
import type { RegistryAnswer, RegistryRequest, Session } from './session.js';
import { headerOf } from './transport.js';

/** Every kind of document we can read. Without it a registry may convert an image to schema 1, or hide an index. */
const ACCEPT = [MEDIA.manifest, MEDIA.index, MEDIA.dockerManifest, MEDIA.dockerIndex].join(', ');
/** Bytes of an answer that should be empty. */
const SMALL = 64 * 1024;

/** A manifest or index as a registry gave it, verified. */
export interface RemoteDocument {
  readonly descriptor: Descriptor;
  readonly bytes: Buffer;
  readonly document: ImageDocument;
}

/** The manifests and tags of one repository; distribution-spec, "Pulling manifests", "Pushing manifests", "Content management". */
export class Manifests {
  readonly #session: Session;
  readonly #repository: string;

  constructor(session: Session, repository: string) {
    this.#session = session;
    this.#repository = repository;
  }

  /**
   * What a tag or digest stands for, without its content when the registry tells by HEAD.
   * @throws SlipwayError E_NOT_FOUND, E_UNAUTHORIZED, E_INVALID_MANIFEST …
   */
  async resolve(reference: string, signal?: AbortSignal): Promise<Descriptor> {
    const found = await this.find(reference, signal);
    if (found !== undefined) return found;
    throw new SlipwayError(
      'E_NOT_FOUND',
      `${this.#session.host} has no ${this.#repository}${isDigest(reference) ? '@' : ':'}${reference}`,
      {
        hint: 'check the name and the tag; a registry may also hide what you may not read: slipway login',
      },
    );
  }

  /** {@link resolve}, undefined when there is no such tag or manifest. */
  async find(reference: string, signal?: AbortSignal): Promise<Descriptor | undefined> {
    const answer = await this.#session.answer(this.#request('HEAD', reference, [200, 404, 405], signal), 0);
    if (answer.status === 404) return undefined;
    return this.#described(answer, reference) ?? (await this.fetch(reference, signal)).descriptor;
  }

  /**
   * Whether a tag or digest stands for `digest` already, asked by somebody about to push: a repository that is still to be made is
   * no error.
   */
  async has(reference: string, digest: Digest, signal?: AbortSignal): Promise<boolean> {
    const request = this.#request('HEAD', reference, [200, 404, 405], signal);
    const answer = await this.#session.answer({ ...request, scopes: this.#pushScopes }, 0);
    return answer.status === 200 && (reference === digest || headerOf(answer, 'docker-content-digest') === digest);
  }

  /**
   * A manifest or index by tag or digest. Its digest is computed and compared with the one asked for and with Docker-Content-Digest; its
   * size is at most 4 MiB.
   * @param size of the descriptor that led here.
   * @throws SlipwayError E_DIGEST_MISMATCH, E_SIZE_MISMATCH, E_INVALID_MANIFEST, E_NOT_FOUND …
   */
  async fetch(reference: string, signal?: AbortSignal, size?: number): Promise<RemoteDocument> {
    const what = this.#name(reference);
    const answer = await this.#session.answer(this.#request('GET', reference, [200], signal), MANIFEST_LIMIT);
    const { bytes } = answer;
    const said = headerOf(answer, 'docker-content-digest');
    const digest = isDigest(reference) ? digestAs(reference, bytes) : digestOf(bytes);
    for (const expected of [isDigest(reference) ? reference : undefined, said]) {
      if (expected === undefined || !isDigest(expected) || digestAs(expected, bytes) === expected) continue;
      throw new SlipwayError('E_DIGEST_MISMATCH', `${what} has the digest ${digest}, ${expected} was expected`, {
        hint: 'the content is damaged or was tampered with; nothing of it was kept',
        details: { expected, actual: digest },
      });
    }
    if (size !== undefined && size !== bytes.byteLength) {
      throw new SlipwayError('E_SIZE_MISMATCH', `${what} has ${bytes.byteLength} bytes, ${size} were expected`);
    }
    const document = parseImageDocument(bytes, documentType(headerOf(answer, 'content-type')), what);
    return { descriptor: { mediaType: document.mediaType, digest, size: bytes.byteLength }, bytes, document };
  }

  /**
   * Stores a manifest or index under a tag or its digest. What it names must be there already.
   * @returns true when the registry says that it processed the `subject`; distribution-spec, "Pushing Manifests with Subject".
   */
  async push(reference: string, bytes: Uint8Array, mediaType: string, signal?: AbortSignal): Promise<boolean> {
    const digest = digestOf(bytes);
    const answer = await this.#session.answer(
      {
        method: 'PUT',
        target: this.#path(reference),
        what: `pushing manifest ${reference} to ${this.#repository}`,
        scopes: this.#pushScopes,
        headers: { 'content-type': mediaType },
        body: bytes,
        expect: [200, 201, 202],
        signal,
      },
      SMALL,
    );
    const said = headerOf(answer, 'docker-content-digest');
    if (said?.startsWith('sha256:') && said !== digest) {
      throw new SlipwayError('E_DIGEST_MISMATCH', `${this.#name(reference)} was stored as ${said}, it is ${digest}`, {
        hint: 'the registry changed the manifest; its digests cannot be relied on',
        details: { expected: digest, actual: said },
      });
    }
    return headerOf(answer, 'oci-subject') !== undefined;
  }

  /** Deletes a manifest by digest, with all its tags; or a tag alone where the registry can. */
  async delete(reference: string): Promise<void> {
    await this.#session.answer(
      {
        method: 'DELETE',
        target: this.#path(reference),
        what: `deleting manifest ${reference} of ${this.#repository}`,
        scopes: [repositoryScope(this.#repository, 'delete', 'pull')],
        expect: [200, 202, 204],
      },
      SMALL,
    );
  }

  /** What the head of an answer says; undefined when that is not enough and the content must be fetched. */
  #described(answer: RegistryAnswer, reference: string): Descriptor | undefined {
    if (answer.status !== 200) return undefined;
    const mediaType = documentType(headerOf(answer, 'content-type'));
    const said = headerOf(answer, 'docker-content-digest');
    const size = Number(headerOf(answer, 'content-length') ?? Number.NaN);
    if (mediaType === undefined || said === undefined || !Number.isSafeInteger(size) || size <= 0) return undefined;
    if (isDigest(reference) && said !== reference) return undefined;
    return { mediaType, digest: parseDigest(said), size };
  }

  #request(
    method: 'GET' | 'HEAD',
    reference: string,
    expect: readonly number[],
    signal: AbortSignal | undefined,
  ): RegistryRequest {
    return {
      method,
      target: this.#path(reference),
      what: `fetching manifest ${reference} of ${this.#repository}`,
      scopes: [repositoryScope(this.#repository, 'pull')],
      headers: { accept: ACCEPT },
      expect,
      signal,
    };
  }

  get #pushScopes(): readonly Scope[] {
    return [repositoryScope(this.#repository, 'pull', 'push')];
  }

  #path(reference: string): string {
    return `/v2/${this.#repository}/manifests/${reference}`;
  }

  #name(reference: string): string {
    return `${this.#session.host}/${this.#repository}${isDigest(reference) ? '@' : ':'}${reference}`;
  }
}

/** The media type of a Content-Type that names a document; undefined for anything else: then the document speaks for itself. */
function documentType(contentType: string | undefined): string | undefined {
  const type = contentType?.split(';', 1)[0]?.trim().toLowerCase();
  return type !== undefined && (isManifestType(type) || isIndexType(type)) ? type : undefined;
}

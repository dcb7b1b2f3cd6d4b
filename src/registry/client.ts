import * as z from 'zod';
import { isSlipwayError, SlipwayError } from '../base/errors.js';
import type { Digest } from '../image/digest.js';
import type { Descriptor } from '../image/oci.js';
import { type Reference, registryAddress } from '../image/reference.js';
import { type DownloadOptions, downloadBlob } from './blob-download.js';
import { BlobUpload, type UploadContent, type UploadOptions } from './blob-upload.js';
import { Manifests, type RemoteDocument } from './manifests.js';
import type { RegistryOptions } from './options.js';
import { allPages, checkPage, nameList } from './pages.js';
import { addFallbackReferrer, listReferrers, subjectOf } from './referrers.js';
import { CATALOG_SCOPE, repositoryScope } from './scope.js';
import { Session } from './session.js';
import type { Transport } from './transport.js';

const PAGE_SIZE = 1000;

/** One repository of a registry: everything that distribution-spec offers on it. */
export class Repository {
  /** `name[:port]` as in image names. */
  readonly host: string;
  /** As in request paths: `library/busybox`. */
  readonly name: string;
  readonly manifests: Manifests;
  readonly #session: Session;
  readonly #upload: BlobUpload;
  readonly #chunkSize: number | undefined;

  /** @param transport to share connections with other repositories. */
  constructor(host: string, name: string, options: RegistryOptions = {}, transport?: Transport) {
    this.host = host;
    this.name = name;
    this.#chunkSize = options.chunkSize;
    this.#session = new Session(host, name, options, transport);
    this.manifests = new Manifests(this.#session, name);
    this.#upload = new BlobUpload(this.#session, name);
  }

  /** The repository that an image name means, Docker Hub's defaults filled in. */
  static of(
    reference: Pick<Reference, 'host' | 'path'> & { readonly tag?: string | undefined },
    options: RegistryOptions = {},
    transport?: Transport,
  ): Repository {
    refuseLoneRegistry(reference);
    const { host, repository } = registryAddress(reference);
    return new Repository(host, repository, options, transport);
  }

  /** What a tag or digest stands for. @throws SlipwayError E_NOT_FOUND … */
  resolve(reference: string, signal?: AbortSignal): Promise<Descriptor> {
    return this.manifests.resolve(reference, signal);
  }

  /** A verified manifest or index; see {@link Manifests.fetch}. */
  fetchManifest(reference: string, signal?: AbortSignal, size?: number): Promise<RemoteDocument> {
    return this.manifests.fetch(reference, signal, size);
  }

  /** Streams a blob, continuing after breaks and verifying; see {@link downloadBlob}. */
  fetchBlob(
    descriptor: Pick<Descriptor, 'digest' | 'size'>,
    options?: DownloadOptions,
  ): AsyncGenerator<Uint8Array, void, void> {
    return downloadBlob(this.#session, this.name, descriptor, options);
  }

  hasBlob(descriptor: Pick<Descriptor, 'digest'>, signal?: AbortSignal): Promise<boolean> {
    return this.#upload.has(descriptor, signal);
  }

  /**
   * Brings a blob into the repository: nothing is sent when it is there, or when the registry takes it from one of its other
   * repositories in `mountFrom`.
   */
  async pushBlob(
    content: UploadContent,
    { mountFrom = [], ...options }: UploadOptions & { readonly mountFrom?: readonly string[] } = {},
  ): Promise<'exists' | 'mounted' | 'uploaded'> {
    const { descriptor } = content;
    if (await this.hasBlob(descriptor, options.signal)) return 'exists';
    for (const from of mountFrom) {
      if (from !== this.name && (await this.#upload.mount(descriptor, from, options.signal))) return 'mounted';
    }
    await this.#upload.upload(content, { chunkSize: this.#chunkSize, ...options });
    return 'uploaded';
  }

  /** Stores a manifest or index under a tag or its digest, and makes it findable by its `subject` when it has one. */
  async pushManifest(
    reference: string,
    { descriptor, bytes, document }: RemoteDocument,
    signal?: AbortSignal,
  ): Promise<void> {
    const processed = await this.manifests.push(reference, bytes, descriptor.mediaType, signal);
    if (!processed && subjectOf(document) !== undefined) {
      await addFallbackReferrer(this.manifests, { descriptor, bytes, document });
    }
  }

  /** Deletes a manifest by digest. @throws SlipwayError E_NOT_FOUND, E_REGISTRY when the registry does not delete. */
  deleteManifest(digest: Digest): Promise<void> {
    return this.manifests.delete(digest);
  }

  /** All tags, in the registry's order. @throws SlipwayError E_NOT_FOUND when there is no such repository. */
  listTags(): Promise<string[]> {
    const what = `listing the tags of ${this.name}`;
    return allPages(
      this.#session,
      {
        method: 'GET',
        target: `/v2/${this.name}/tags/list?n=${PAGE_SIZE}`,
        what,
        scopes: [repositoryScope(this.name, 'pull')],
        expect: [200],
      },
      (page) => checkPage(z.looseObject({ tags: nameList }), page, this.host, what).tags,
    );
  }

  /** The manifests whose `subject` is `digest`: signatures, SBOMs … */
  referrers(digest: Digest, artifactType?: string): Promise<readonly Descriptor[]> {
    return listReferrers(this.#session, this.manifests, this.name, digest, artifactType);
  }
}

/**
 * Asks whether a registry is there and lets us in.
 * @returns whether it asked who we are.
 * @throws SlipwayError E_REGISTRY_UNREACHABLE, E_UNAUTHORIZED, E_REGISTRY when something else answers.
 */
export async function ping(host: string, options: RegistryOptions = {}): Promise<boolean> {
  const session = new Session(host, undefined, options);
  try {
    await session.answer(
      { method: 'GET', target: '/v2/', what: 'asking for the API', scopes: [], expect: [200] },
      64 * 1024,
    );
    return session.asked;
  } catch (error) {
    if (!isSlipwayError(error, 'E_NOT_FOUND')) throw error;
    throw new SlipwayError('E_REGISTRY', `${host} is not a registry: it does not answer at /v2/`, {
      hint: 'check the host and the port',
      cause: error,
    });
  }
}

/**
 * The repositories of a registry, where it tells.
 * @throws SlipwayError E_UNAUTHORIZED, E_NOT_FOUND when the registry has no catalog …
 */
export function catalog(host: string, options: RegistryOptions = {}): Promise<string[]> {
  const session = new Session(host, undefined, options);
  const what = 'listing the repositories';
  return allPages(
    session,
    { method: 'GET', target: `/v2/_catalog?n=${PAGE_SIZE}`, what, scopes: [CATALOG_SCOPE], expect: [200] },
    (page) => checkPage(z.looseObject({ repositories: nameList }), page, host, what).repositories,
  );
}

/** `localhost:5000` reads like an image: localhost of the tag 5000, on Docker Hub. */
function refuseLoneRegistry({
  host,
  path,
  tag = '',
}: Pick<Reference, 'host' | 'path'> & { readonly tag?: string | undefined }): void {
  if (host !== undefined || !/^\d+$/.test(tag) || !(path === 'localhost' || /^[^/]+\.[^/]+$/.test(path))) return;
  throw new SlipwayError('E_INVALID_REFERENCE', `${path}:${tag} is a registry without a repository`, {
    hint: `write ${path}:${tag}/NAME:TAG`,
  });
}

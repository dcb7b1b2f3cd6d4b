import type { Digest } from '../../image/digest.js';
import { parseReference, type Reference } from '../../image/reference.js';
import type { StoredImage } from '../../store/image-index.js';
import type { Store } from '../../store/store.js';
import type { Exchange } from './exchange.js';

/** A name of the store as clients of the server see it. */
export interface ServedImage extends StoredImage {
  readonly repository: string;
  /** Undefined for what was pushed under its digest alone. */
  readonly tag: string | undefined;
}

/**
 * The images that a server at one of `hosts` offers. Its repositories are the store's names without tag: `k8s:v1` is tag v1 of `k8s`,
 * `docker.io/library/web:1` is tag 1 of `docker.io/library/web`. A name that begins with the server's own address is served without
 * it. Names of other hosts with a port cannot be said in a request and are not served. Where two names come to the same, the one
 * without a host wins.
 */
export async function servedImages(store: Store, hosts: readonly string[]): Promise<readonly ServedImage[]> {
  const served = new Map<string, ServedImage>();
  for (const image of await store.images()) {
    const reference = readable(image.name);
    if (reference === undefined) continue;
    const { host, path, tag } = reference;
    const own = host !== undefined && hosts.includes(host);
    if (host !== undefined && !own && host.includes(':')) continue;
    const repository = host === undefined || own ? path : `${host}/${path}`;
    const key = `${repository}${image.name.slice(image.name.indexOf(path) + path.length)}`;
    if (!own || !served.has(key)) served.set(key, { ...image, repository, tag });
  }
  return [...served.values()];
}

/** What another program has written into the index may be no name: it must not hide the rest. */
function readable(name: string): Reference | undefined {
  try {
    return parseReference(name);
  } catch {
    return undefined;
  }
}

/** {@link servedImages} of one repository. */
export async function repositoryImages(
  { state, hosts }: Exchange,
  repository: string,
): Promise<readonly ServedImage[]> {
  return (await servedImages(state.store, hosts)).filter((image) => image.repository === repository);
}

/** The name in the store for what is pushed to the server. */
export function storeName(repository: string, reference: string | Digest): string {
  return reference.includes(':') ? `${repository}@${reference}` : `${repository}:${reference}`;
}

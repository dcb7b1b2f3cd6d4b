import { type Digest, isDigest } from '../../image/digest.js';
import { parseReference } from '../../image/reference.js';
import { HttpError } from './http-error.js';

/** What a path below `/v2/` means; distribution-spec, "Endpoints". */
export type Route =
  | { readonly kind: 'base' }
  | { readonly kind: 'catalog' }
  | { readonly kind: 'tags'; readonly repository: string }
  | { readonly kind: 'referrers'; readonly repository: string; readonly digest: Digest }
  | { readonly kind: 'manifest'; readonly repository: string; readonly reference: string }
  | { readonly kind: 'blob'; readonly repository: string; readonly digest: Digest }
  | { readonly kind: 'uploads'; readonly repository: string }
  | { readonly kind: 'upload'; readonly repository: string; readonly id: string };

/** distribution-spec, "Pulling manifests": lower case, so that no host with a port is one. */
const NAME = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*$/;

/**
 * Reads a path. The repository may have any number of components; the grammar of names keeps `..` and the like out.
 * @throws HttpError 404, 400 NAME_INVALID, 400 DIGEST_INVALID.
 */
export function parseRoute(path: string): Route {
  if (path === '/v2' || path === '/v2/') return { kind: 'base' };
  if (path === '/v2/_catalog') return { kind: 'catalog' };
  const match =
    /^\/v2\/(.+)\/(tags\/list|referrers\/[^/]+|manifests\/[^/]+|blobs\/uploads\/?|blobs\/uploads\/[^/]+|blobs\/[^/]+)$/.exec(
      path,
    );
  if (match === null) throw new HttpError(404, 'UNSUPPORTED', `no such endpoint: ${path}`);
  const repository = checkRepository(match[1] ?? '');
  const [kind, ...rest] = (match[2] ?? '').split('/');
  const last = decode(rest.at(-1) ?? '');
  switch (kind) {
    case 'tags':
      return { kind: 'tags', repository };
    case 'referrers':
      return { kind: 'referrers', repository, digest: checkDigest(last) };
    case 'manifests':
      return { kind: 'manifest', repository, reference: last };
    default:
      if (rest[0] !== 'uploads') return { kind: 'blob', repository, digest: checkDigest(last) };
      return rest.length === 1 || last === ''
        ? { kind: 'uploads', repository }
        : { kind: 'upload', repository, id: last };
  }
}

/** @throws HttpError 400 DIGEST_INVALID */
export function checkDigest(text: string): Digest {
  if (isDigest(text)) return text;
  throw new HttpError(400, 'DIGEST_INVALID', `${JSON.stringify(text.slice(0, 200))} is not a sha256 or sha512 digest`);
}

function checkRepository(text: string): string {
  if (NAME.test(text) && isStorable(text)) return text;
  throw new HttpError(400, 'NAME_INVALID', `${JSON.stringify(text.slice(0, 300))} is not a repository name`);
}

/** Whether the store can have it as a name: its first component may not be a host that is none. */
function isStorable(repository: string): boolean {
  try {
    parseReference(`${repository}:x`);
    return true;
  } catch {
    return false;
  }
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw new HttpError(400, 'NAME_INVALID', 'the path is not valid percent-encoding');
  }
}

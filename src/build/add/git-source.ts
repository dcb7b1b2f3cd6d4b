import { SlipwayError } from '../../base/errors.js';
import { registerSecret } from '../../base/redact.js';

/** A git repository as ADD names it: `https://host/repo.git#ref:subdirectory`. */
export interface GitSource {
  /** Without credentials and fragment. */
  readonly url: string;
  /** A branch, a tag, a full ref or a commit; undefined: what HEAD is there. */
  readonly ref: string | undefined;
  /** Inside the repository, `''` for all of it. */
  readonly subdirectory: string;
  /** `user:password` of the URL. */
  readonly credentials: string | undefined;
}

const SCP = /^[A-Za-z0-9_][A-Za-z0-9_.-]*@[A-Za-z0-9_[][^/\s]*:[^\s]/;

/**
 * Reads the source of an ADD as a git repository, by Docker's rules: `git://` and `ssh://` URLs, `user@host:path`, and http(s) URLs whose path
 * ends in `.git`.
 * @returns undefined when it is something else.
 * @throws SlipwayError E_COPY for a ref or subdirectory that cannot be one.
 */
export function parseGitSource(text: string): GitSource | undefined {
  const hash = text.indexOf('#');
  const base = hash < 0 ? text : text.slice(0, hash);
  const fragment = hash < 0 ? '' : text.slice(hash + 1);
  const location = repositoryOf(base);
  if (location === undefined) return undefined;
  const colon = fragment.indexOf(':');
  const ref = colon < 0 ? fragment : fragment.slice(0, colon);
  const subdirectory = (colon < 0 ? '' : fragment.slice(colon + 1))
    .split('/')
    .filter((part) => part !== '' && part !== '.')
    .join('/');
  if (ref !== '' && !isRef(ref)) {
    throw new SlipwayError('E_COPY', `${location.url}: ${JSON.stringify(ref)} cannot be a branch, tag or commit`, {
      hint: 'write REPOSITORY#REF or REPOSITORY#REF:DIRECTORY',
    });
  }
  if (subdirectory.split('/').includes('..')) {
    throw new SlipwayError('E_COPY', `${location.url}: the directory ${subdirectory} leaves the repository`);
  }
  return { ...location, ref: ref === '' ? undefined : ref, subdirectory };
}

function repositoryOf(text: string): Pick<GitSource, 'url' | 'credentials'> | undefined {
  if (SCP.test(text) && !text.includes('://')) return { url: text, credentials: undefined };
  const scheme = /^(https?|git|ssh):\/\//i.exec(text)?.[1]?.toLowerCase();
  if (scheme === undefined || !URL.canParse(text)) return undefined;
  const url = new URL(text);
  const http = scheme === 'http' || scheme === 'https';
  if (http && !url.pathname.endsWith('.git')) return undefined;
  // Over ssh the user is part of the address.
  if (!http || (url.username === '' && url.password === '')) return { url: text, credentials: undefined };
  const credentials = `${decodeURIComponent(url.username)}:${decodeURIComponent(url.password)}`;
  // A token may stand alone as the user; a mere name is no secret.
  registerSecret(decodeURIComponent(url.password === '' ? url.username : url.password));
  url.username = '';
  url.password = '';
  return { url: url.href, credentials };
}

/** Stricter than git-check-ref-format(1); above all no option. */
function isRef(ref: string): boolean {
  return /^[A-Za-z0-9_][^\s~^:?*[\\\x00-\x20\x7f]*$/.test(ref) && !/\.\.|\/\/|@\{|\/$|\.$/.test(ref);
}

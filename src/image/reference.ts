import { isSlipwayError, SlipwayError } from '../base/errors.js';
import { type Digest, isDigest } from './digest.js';

/** An image name as a person writes it, taken apart. */
export interface Reference {
  /** Exactly as `images` shows it and the store keeps it: `[host/]repository:tag`, or `[host/]repository@digest` when only a digest is given. */
  readonly name: string;
  /** `docker.io`, `localhost:5000` … as written; undefined when the name has no host (Docker Hub is meant when a registry is talked to). */
  readonly host: string | undefined;
  /** The repository as written, without host: `k8s/base`. */
  readonly path: string;
  /** Undefined only when a digest is given without a tag. */
  readonly tag: string | undefined;
  readonly digest: Digest | undefined;
}

const COMPONENT = '[a-z0-9]+(?:(?:\\.|_{1,2}|-+)[a-z0-9]+)*';
const PATH = new RegExp(`^${COMPONENT}(?:/${COMPONENT})*$`);
const TAG = /^\w[\w.-]{0,127}$/;
const HOST = /^(?:\[[a-f0-9:]+\]|[a-zA-Z0-9](?:[a-zA-Z0-9.-]*[a-zA-Z0-9])?)(?::\d{1,5})?$/;

/**
 * Reads `[host[:port]/]repository[:tag][@digest]` (distribution/reference grammar). Without tag and digest the tag is
 * `latest`. The first component is a host when it holds a `.` or `:` or is `localhost`.
 * @throws SlipwayError E_INVALID_REFERENCE saying which part is wrong.
 */
export function parseReference(text: string): Reference {
  const fail = (why: string, hint?: string): never => {
    throw new SlipwayError('E_INVALID_REFERENCE', `invalid image name ${JSON.stringify(text.slice(0, 300))}: ${why}`, {
      hint: hint ?? 'a name is [host[:port]/]repository[:tag][@sha256:…]',
    });
  };
  let rest = text;
  if (rest === '') fail('it is empty');
  if (/^[a-z]+:\/\//i.test(rest)) fail('it is a URL', 'leave the scheme away: registry.example.com/k8s:v1');
  let digest: Digest | undefined;
  const at = rest.indexOf('@');
  if (at >= 0) {
    const given = rest.slice(at + 1);
    if (isDigest(given)) digest = given;
    else fail(`${JSON.stringify(given)} is not a digest`);
    rest = rest.slice(0, at);
  }
  const slash = rest.indexOf('/');
  const first = slash < 0 ? '' : rest.slice(0, slash);
  const host = /[.:]/.test(first) || first === 'localhost' || /[A-Z]/.test(first) ? first : undefined;
  if (host !== undefined) {
    if (!HOST.test(host) || Number(/:(\d+)$/.exec(host)?.[1] ?? 1) > 65535 || /:0*$/.test(host))
      fail(`${JSON.stringify(host)} is not a host`);
    rest = rest.slice(slash + 1);
  }
  let tag: string | undefined;
  const colon = rest.lastIndexOf(':');
  if (colon >= 0) {
    tag = rest.slice(colon + 1);
    rest = rest.slice(0, colon);
    if (!TAG.test(tag))
      fail(`${JSON.stringify(tag)} is not a tag`, 'a tag has at most 128 letters, digits, "_", "." and "-"');
  }
  if (rest === '') fail('the repository is missing');
  if (rest !== rest.toLowerCase())
    fail(
      'the repository must be lower case',
      PATH.test(rest.toLowerCase()) ? `did you mean ${rest.toLowerCase()}?` : undefined,
    );
  if (!PATH.test(rest)) fail(`${JSON.stringify(rest)} is not a repository`);
  if (rest.length > 255) fail('the repository is longer than 255 characters');
  if (tag === undefined && digest === undefined) tag = 'latest';
  return { name: nameOf({ host, path: rest, tag, digest }), host, path: rest, tag, digest };
}

function nameOf({ host, path, tag, digest }: Omit<Reference, 'name'>): string {
  return `${host === undefined ? '' : `${host}/`}${path}${tag === undefined ? `@${digest}` : `:${tag}`}`;
}

/** Where a reference lives when a registry is talked to: Docker Hub's defaults filled in. */
export interface RegistryAddress {
  /** As in credentials and in mirrors: `docker.io`, `localhost:5000`. */
  readonly host: string;
  /** As in request paths: `library/busybox`. */
  readonly repository: string;
}

/** `busybox` → docker.io, library/busybox; `index.docker.io/x/y` → docker.io, x/y; `localhost:5000/a` → itself. */
export function registryAddress({ host, path }: Pick<Reference, 'host' | 'path'>): RegistryAddress {
  const name = host === undefined || host === 'index.docker.io' || host === 'registry-1.docker.io' ? 'docker.io' : host;
  return { host: name, repository: name === 'docker.io' && !path.includes('/') ? `library/${path}` : path };
}

/** The full name with nothing implied: `docker.io/library/busybox:1.36` (and `@digest` when one is given). */
export function canonicalName(reference: Reference): string {
  const { host, repository } = registryAddress(reference);
  return `${host}/${repository}${reference.tag === undefined ? '' : `:${reference.tag}`}${reference.digest === undefined ? '' : `@${reference.digest}`}`;
}

/**
 * Whether two texts are one name to who talks to registries: `n:1`, `docker.io/n:1` and `docker.io/library/n:1` are. What is no image name is the
 * same as nothing but itself.
 */
export function sameName(a: string, b: string): boolean {
  if (a === b) return true;
  const first = canonicalOf(a);
  return first !== undefined && first === canonicalOf(b);
}

function canonicalOf(text: string): string | undefined {
  try {
    return canonicalName(parseReference(text));
  } catch (error) {
    if (!isSlipwayError(error, 'E_INVALID_REFERENCE')) throw error;
    return undefined;
  }
}

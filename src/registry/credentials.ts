import { isSlipwayError, SlipwayError } from '../base/errors.js';
import { registerSecret } from '../base/redact.js';
import { type Reporter, silentReporter } from '../base/reporter.js';
import { type AuthEntry, type AuthFile, authFilePaths, changeAuths, loginFilePath, readAuthFile } from './auth-file.js';
import { type HelperOptions, helperErase, helperGet, helperStore } from './credential-helper.js';
import type { BasicCredential } from './options.js';

/** What proves who we are: a password, an OAuth2 refresh token, or a token for the registry itself. */
export type Credential =
  | ({ readonly kind: 'basic' } & BasicCredential)
  | { readonly kind: 'identity-token'; readonly token: string }
  | { readonly kind: 'registry-token'; readonly token: string };

/** The key that docker uses for Docker Hub in files and helpers. */
const DOCKER_HUB_KEY = 'https://index.docker.io/v1/';
const DOCKER_HUB_NAMES = ['docker.io', 'index.docker.io', 'registry-1.docker.io'];
/** A helper's user name when the secret is an identity token; docker-credential-helpers. */
const TOKEN_USER = '<token>';

interface Surroundings {
  readonly env?: NodeJS.ProcessEnv | undefined;
  readonly reporter?: Reporter | undefined;
  /** Milliseconds that a helper may take. */
  readonly patience?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** The key of `auths`, `credHelpers` and helpers under which credentials for a host are kept. */
export function credentialKey(host: string): string {
  return DOCKER_HUB_NAMES.includes(host) ? DOCKER_HUB_KEY : host;
}

/**
 * Finds the stored credentials for a repository: in each file of {@link authFilePaths}, the helper for the host, then `auths` by repository
 * path (longest first) and by host. Hosts match exactly. A helper that does not work is warned about and passed over.
 * @throws SlipwayError E_USAGE when a file is malformed.
 */
export async function findCredential(
  host: string,
  repository: string | undefined,
  { env = process.env, reporter = silentReporter, ...limits }: Surroundings = {},
): Promise<Credential | undefined> {
  for (const path of authFilePaths(env)) {
    const file = await readAuthFile(path);
    if (file === undefined) continue;
    const found =
      (await fromHelper(file, host, { env, ...limits }, reporter)) ?? fromAuths(file, host, repository, path);
    if (found !== undefined) {
      registerSecret(found.kind === 'basic' ? found.password : found.token);
      return found;
    }
  }
  return undefined;
}

async function fromHelper(
  file: AuthFile,
  host: string,
  options: HelperOptions,
  reporter: Reporter,
): Promise<Credential | undefined> {
  const helper = helperFor(file, host);
  if (helper === undefined) return undefined;
  try {
    const secret = await helperGet(helper, credentialKey(host), options);
    if (secret === undefined) return undefined;
    return secret.username === TOKEN_USER
      ? { kind: 'identity-token', token: secret.secret }
      : { kind: 'basic', username: secret.username, password: secret.secret };
  } catch (error) {
    options.signal?.throwIfAborted();
    if (!isSlipwayError(error)) throw error;
    reporter.warn(error.message);
    return undefined;
  }
}

/** An empty name says: none for this host, or none at all. */
function helperFor({ credHelpers = {}, credsStore }: AuthFile, host: string): string | undefined {
  const own = hostKeys(host).find((key) => credHelpers[key] !== undefined);
  return (own !== undefined ? credHelpers[own] : credsStore) || undefined;
}

function fromAuths(
  { auths = {} }: AuthFile,
  host: string,
  repository: string | undefined,
  path: string,
): Credential | undefined {
  const parts = repository === undefined ? [] : repository.split('/');
  const keys = parts.map((_, index) => `${host}/${parts.slice(0, parts.length - index).join('/')}`);
  for (const wanted of [...keys, ...hostKeys(host)]) {
    const key = Object.keys(auths).find((candidate) => candidate === wanted || plainKey(candidate) === wanted);
    const entry = key === undefined ? undefined : auths[key];
    const credential = entry === undefined ? undefined : credentialOf(entry, wanted, path);
    if (credential !== undefined) return credential;
  }
  return undefined;
}

function hostKeys(host: string): readonly string[] {
  return DOCKER_HUB_NAMES.includes(host) ? [DOCKER_HUB_KEY, ...DOCKER_HUB_NAMES] : [host];
}

/** Older files keep `https://HOST/v1/` and the like: docker's ConvertToHostname. */
function plainKey(key: string): string {
  return key.replace(/^https?:\/\//, '').replace(/\/(?:v[12]\/?)?$/, '');
}

function credentialOf(entry: AuthEntry, key: string, path: string): Credential | undefined {
  if (entry.identitytoken) return { kind: 'identity-token', token: entry.identitytoken };
  if (entry.registrytoken) return { kind: 'registry-token', token: entry.registrytoken };
  if (entry.username && entry.password !== undefined)
    return { kind: 'basic', username: entry.username, password: entry.password };
  if (!entry.auth) return undefined;
  const text = Buffer.from(entry.auth, 'base64').toString('utf8');
  const colon = text.indexOf(':');
  if (colon <= 0) {
    throw new SlipwayError('E_USAGE', `the entry for ${key} in ${path} is not base64 of USER:PASSWORD`, {
      hint: `write it again: slipway login ${key}`,
    });
  }
  // docker pads with NUL bytes in files of old versions
  return { kind: 'basic', username: text.slice(0, colon), password: text.slice(colon + 1).replace(/\0+$/, '') };
}

/**
 * Keeps credentials for a host where `login` does: in the helper that the first credentials file names, else in that file (mode 0600).
 * @returns where they are now, for a message.
 */
export async function saveCredential(
  host: string,
  { username, password }: BasicCredential,
  env: NodeJS.ProcessEnv = process.env,
): Promise<string> {
  registerSecret(password);
  const path = loginFile(env);
  const helper = helperFor((await readAuthFile(path)) ?? {}, host);
  const key = credentialKey(host);
  if (helper !== undefined) {
    await helperStore(helper, key, { username, secret: password }, { env });
    return `docker-credential-${helper}`;
  }
  const auth = Buffer.from(`${username}:${password}`).toString('base64');
  await changeAuths(path, (auths) => ({ ...without(auths, host), [key]: { auth } }));
  return path;
}

/**
 * Forgets the credentials for a host in every credentials file and its helper.
 * @returns false when there were none. @throws SlipwayError of a helper that does not work, when everything else is gone.
 */
export async function removeCredential(host: string, env: NodeJS.ProcessEnv = process.env): Promise<boolean> {
  let removed = false;
  const failures: unknown[] = [];
  for (const path of authFilePaths(env)) {
    const file = await readAuthFile(path);
    if (file === undefined) continue;
    const kept = without(file.auths, host);
    if (Object.keys(kept).length !== Object.keys(file.auths ?? {}).length) {
      await changeAuths(path, (auths) => without(auths, host));
      removed = true;
    }
    try {
      if (await eraseFromHelper(file, host, env)) removed = true;
    } catch (error) {
      failures.push(error); // what other places have goes all the same
    }
  }
  if (failures.length > 0) throw failures[0];
  return removed;
}

async function eraseFromHelper(file: AuthFile, host: string, env: NodeJS.ProcessEnv): Promise<boolean> {
  const helper = helperFor(file, host);
  if (helper === undefined || (await helperGet(helper, credentialKey(host), { env })) === undefined) return false;
  await helperErase(helper, credentialKey(host), { env });
  return true;
}

function loginFile(env: NodeJS.ProcessEnv): string {
  const path = loginFilePath(env);
  if (path === undefined) {
    throw new SlipwayError('E_USAGE', 'there is no place to keep credentials', { hint: 'set HOME or DOCKER_CONFIG' });
  }
  return path;
}

function without(auths: AuthFile['auths'], host: string): Record<string, AuthEntry> {
  const keys = hostKeys(host);
  return Object.fromEntries(
    Object.entries(auths ?? {}).filter(([key]) => !keys.includes(key) && !keys.includes(plainKey(key))),
  );
}

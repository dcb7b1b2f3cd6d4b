import { isSlipwayError, SlipwayError } from '../base/errors.js';
import { silentReporter } from '../base/reporter.js';
import { ping } from './client.js';
import { removeCredential, saveCredential } from './credentials.js';
import type { BasicCredential, RegistryOptions } from './options.js';

/**
 * Proves a user name and a password to a registry, then keeps them where docker does.
 * @param host `name[:port]`; `docker.io` for Docker Hub.
 * @returns where they are kept: a file, or a credential helper.
 * @throws SlipwayError E_UNAUTHORIZED when the registry refuses them (nothing is kept), E_REGISTRY_UNREACHABLE, E_USAGE …
 */
export async function login(host: string, credential: BasicCredential, options: RegistryOptions = {}): Promise<string> {
  if (credential.username === '' || credential.username.includes(':')) {
    throw new SlipwayError('E_USAGE', `cannot log in to ${host}: the user name is empty or has a colon in it`);
  }
  if (credential.password === '') {
    throw new SlipwayError('E_USAGE', `cannot log in to ${host}: the password is empty`, {
      hint: 'give it on standard input with --password-stdin',
    });
  }
  const { env = process.env, reporter = silentReporter } = options;
  try {
    const asked = await ping(host, { ...options, credential });
    if (!asked) reporter.warn(`${host} did not ask for a password: whether this one is right is not known`);
  } catch (error) {
    if (!isSlipwayError(error, 'E_UNAUTHORIZED')) throw error;
    throw new SlipwayError('E_UNAUTHORIZED', `${host} does not accept this user name and password`, {
      hint: 'check both, then log in again; nothing was stored',
      cause: error,
    });
  }
  const place = await saveCredential(host, credential, env);
  reporter.debug(`credentials for ${host} are kept in ${place}`);
  return place;
}

/** Forgets the credentials for a registry. @returns false when there were none. */
export function logout(host: string, { env = process.env }: RegistryOptions = {}): Promise<boolean> {
  return removeCredential(host, env);
}

import { isSlipwayError, SlipwayError } from '../base/errors.js';
import { catalog } from './client.js';
import type { RegistryOptions } from './options.js';
import { RegistryError } from './registry-error.js';

/**
 * The repositories of a registry whose names begin with `prefix`.
 * @throws SlipwayError E_UNSUPPORTED when the registry does not tell, E_UNAUTHORIZED, E_REGISTRY_UNREACHABLE …
 */
export async function searchCatalog(host: string, prefix: string, options: RegistryOptions): Promise<string[]> {
  if (host === 'docker.io') throw notOffered(host);
  try {
    return (await catalog(host, options)).filter((name) => name.startsWith(prefix));
  } catch (error) {
    const without = isSlipwayError(error, 'E_NOT_FOUND') || (error instanceof RegistryError && error.status === 405);
    throw without ? notOffered(host, error) : error;
  }
}

function notOffered(host: string, cause?: unknown): SlipwayError {
  return new SlipwayError('E_UNSUPPORTED', `${host} does not tell which repositories it has`, {
    hint: `of one that you know, the tags can be listed: slipway tags ${host}/NAME`,
    cause,
  });
}

import { isSlipwayError, SlipwayError } from '../base/errors.js';
import { type Reference, registryAddress } from '../image/reference.js';
import { Repository } from './client.js';
import type { RegistryOptions } from './options.js';
import { Transport } from './transport.js';

/**
 * Where an image can be pulled from: the mirrors of its host in the order of the configuration, then the host itself. A mirror has the
 * repository under its path without the upstream's host, below the mirror's own path when it has one (`mirror.lan/hub`).
 * @throws SlipwayError E_USAGE when a mirror cannot be read.
 */
export function placesToPullFrom(
  reference: Pick<Reference, 'host' | 'path'>,
  options: RegistryOptions,
): readonly Repository[] {
  const { host, repository } = registryAddress(reference);
  const transport = new Transport(options);
  const { credential: _, ...withoutCredential } = options;
  const mirrors = (options.mirrors?.[host] ?? []).map((text) => {
    const mirror = parseMirror(text);
    const plain = mirror.plain ? { plainHttp: true } : {};
    // http:// applies to this mirror alone: it gets connections of its own.
    return new Repository(
      mirror.host,
      `${mirror.prefix}${repository}`,
      { ...withoutCredential, ...plain },
      mirror.plain ? undefined : transport,
    );
  });
  return [...mirrors, new Repository(host, repository, options, transport)];
}

/** True for a failure of a mirror after which the next place may do better. */
export function mayTryNext(error: unknown): boolean {
  return isSlipwayError(error, 'E_NOT_FOUND', 'E_REGISTRY_UNREACHABLE', 'E_REGISTRY', 'E_UNAUTHORIZED');
}

function parseMirror(text: string): { readonly host: string; readonly prefix: string; readonly plain: boolean } {
  const match = /^(?:(https?):\/\/)?([^/\s]+)(?:\/([^\s]*))?$/.exec(text);
  if (match?.[2] === undefined) {
    throw new SlipwayError('E_USAGE', `${JSON.stringify(text)} is not a registry mirror`, {
      hint: 'write it as host[:port][/path], with http:// before it when it has no TLS',
    });
  }
  const path = (match[3] ?? '').replace(/\/+$/, '');
  return { host: match[2], prefix: path === '' ? '' : `${path}/`, plain: match[1] === 'http' };
}

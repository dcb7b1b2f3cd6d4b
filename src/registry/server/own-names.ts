import type { X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import { isLoopback } from '../host.js';
import { HttpError } from './http-error.js';

/** By which names a server may be asked, beside addresses and `localhost`. */
export interface OwnNames {
  /** `host:port` where it listens. */
  readonly address: string;
  readonly names: readonly string[];
  readonly certificate: X509Certificate | undefined;
}

/**
 * Refuses requests for another name at a server that only this machine can reach: the author of a page can let a name of theirs stand for
 * 127.0.0.1, and a browser on this machine then takes what the page reads for the page's own.
 * @throws HttpError 421
 */
export function refuseOtherNames(header: string | undefined, { address, names, certificate }: OwnNames): void {
  if (header === undefined || !isLoopback(address)) return;
  const name = header
    .replace(/:\d*$/, '')
    .replace(/^\[(.*)\]$/, '$1')
    .replace(/\.$/, '')
    .toLowerCase();
  if (isIP(name) !== 0 || isLoopback(name)) return;
  if (names.some((own) => own.toLowerCase() === name) || certificate?.checkHost(name) !== undefined) return;
  throw new HttpError(
    421,
    'DENIED',
    `this registry listens at ${address}, for this machine only, and is not known by the name ${JSON.stringify(name.slice(0, 255))}: ` +
      'use the address, or start it with --name and that name',
  );
}

import { readFile, stat } from 'node:fs/promises';
import { createSecureContext } from 'node:tls';
import { errnoOf, messageOf, SlipwayError } from '../../base/errors.js';

/** PEM files: the certificate with its chain, and the key. */
export interface TlsFiles {
  readonly cert: string;
  readonly key: string;
}

export interface TlsMaterial {
  readonly cert: Buffer;
  readonly key: Buffer;
}

/** @throws SlipwayError E_USAGE when they cannot be read, or do not belong together. */
export async function readTls({ cert, key }: TlsFiles): Promise<TlsMaterial> {
  try {
    const material = { cert: await readFile(cert), key: await readFile(key) };
    createSecureContext(material);
    return material;
  } catch (cause) {
    const absent = errnoOf(cause) === 'ENOENT' && typeof cause === 'object' && cause !== null && 'path' in cause;
    const why = absent ? `there is no ${String(cause.path)}` : messageOf(cause);
    throw new SlipwayError('E_USAGE', `cannot serve TLS with ${cert} and ${key}: ${why}`, {
      hint: '--tls-cert is the certificate with its chain, --tls-key its key, both in PEM',
      cause,
    });
  }
}

/**
 * Looks now and then whether the files are new: a certificate is renewed while the server runs.
 * @param use is given what is new, and an error when that cannot be used.
 * @returns what ends the looking.
 */
export function watchTls(
  files: TlsFiles,
  milliseconds: number,
  use: (renewed: TlsMaterial | SlipwayError) => void,
): () => void {
  let known: string | undefined;
  const look = async (): Promise<void> => {
    const version = await versionOf(files).catch(() => known); // in the middle of being replaced
    if (known !== undefined && version !== known) {
      use(await readTls(files).catch((error: SlipwayError) => error));
    }
    known = version;
  };
  let looking = look();
  const timer = setInterval(() => {
    looking = looking.then(look, look);
  }, milliseconds).unref();
  return () => clearInterval(timer);
}

async function versionOf({ cert, key }: TlsFiles): Promise<string> {
  const found = await Promise.all([stat(cert), stat(key)]);
  return found.map(({ mtimeMs, size, ino }) => `${mtimeMs} ${size} ${ino}`).join(' ');
}

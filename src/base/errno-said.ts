import { fileSystemError } from './errors.js';

/** What programs say of errors that mean the same everywhere, in the C locale. */
const SAID: Readonly<Record<string, string>> = {
  'Input/output error': 'EIO',
  'Stale file handle': 'ESTALE',
  'No space left on device': 'ENOSPC',
  'Disk quota exceeded': 'EDQUOT',
  'Too many open files': 'EMFILE',
  'Cannot allocate memory': 'ENOMEM',
  'Permission denied': 'EACCES',
  'Operation not permitted': 'EPERM',
  'Read-only file system': 'EROFS',
};

/**
 * The error of the system that a program of coreutils has met, from what it `said` on standard error under `LC_ALL=C`.
 * @param what was being done, as for {@link fileSystemError}.
 * @returns SlipwayError E_NO_SPACE, E_PERMISSION or E_SYSTEM; undefined for what it says nothing of, or means something else.
 */
export function errorSaid(said: string, what: string): unknown {
  const lines = said.split('\n').map((line) => line.slice(line.lastIndexOf(': ') + 2));
  const code = Object.entries(SAID).find(([text]) => lines.includes(text))?.[1];
  if (code === undefined) return undefined;
  return fileSystemError(Object.assign(new Error(said.trim()), { code }), what);
}

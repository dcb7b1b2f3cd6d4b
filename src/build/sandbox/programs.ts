import { accessSync, constants, statSync } from 'node:fs';
import { join } from 'node:path';
import { SlipwayError } from '../../base/errors.js';

/** Places that a user's PATH often lacks and that hold what we need. */
const SYSTEM_DIRECTORIES = ['/usr/local/sbin', '/usr/local/bin', '/usr/sbin', '/usr/bin', '/sbin', '/bin'];

/** The Debian package of every program that a sandbox may need. */
const DEBIAN_PACKAGES = {
  bwrap: 'bubblewrap',
  runc: 'runc',
  unshare: 'util-linux',
  setpriv: 'util-linux',
  mount: 'mount',
  mkfifo: 'coreutils',
} as const;

export type SandboxProgram = keyof typeof DEBIAN_PACKAGES;

/** PATH for our own helpers: what the user has, then the system's directories. */
export function programPath(environment: NodeJS.ProcessEnv = process.env): string {
  const own = (environment.PATH ?? '').split(':').filter((directory) => directory.startsWith('/'));
  return [...new Set([...own, ...SYSTEM_DIRECTORIES])].join(':');
}

/** The absolute path of a program of this machine, or undefined when it is not installed. */
export function findProgram(name: SandboxProgram, path = programPath()): string | undefined {
  return path
    .split(':')
    .map((directory) => join(directory, name))
    .find(isProgram);
}

/**
 * The absolute path of a program of this machine.
 * @throws SlipwayError E_MISSING_PROGRAM naming the Debian package
 */
export function requireProgram(name: SandboxProgram, purpose: string, path = programPath()): string {
  const found = findProgram(name, path);
  if (found !== undefined) return found;
  throw new SlipwayError('E_MISSING_PROGRAM', `${purpose} needs the program ${name}, and it is not installed`, {
    hint: `install it: apt-get install ${DEBIAN_PACKAGES[name]}`,
    details: { program: name, package: DEBIAN_PACKAGES[name] },
  });
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

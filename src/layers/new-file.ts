import { closeSync, constants, fstatSync, openSync, readdirSync, unlinkSync } from 'node:fs';
import { fsPath } from './path-bytes.js';

/** open(2) for a file that is not there yet. */
export const NEW_FILE = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;

/** What the kernel gives to a new file. */
export interface NewFile {
  readonly uid: number;
  readonly gid: number;
  /** The permission bits that it gets of all that it asks for: umask and default access control lists take some away. */
  readonly bits: number;
}

/**
 * What new files get in a tree that is made from nothing, found out by making one. Most files of a layer are to have just that owner and mode, and
 * need not be given them again, which saves two of six system calls.
 *
 * @returns undefined for a directory that is not empty: others in it may give files another group, or other permissions.
 */
export function newFileIn(dir: string): NewFile | undefined {
  if (readdirSync(fsPath(dir)).length > 0) return undefined;
  const file = fsPath(`${dir}/.slipway-${process.pid}`);
  const fd = openSync(file, NEW_FILE, 0o777);
  try {
    const { uid, gid, mode } = fstatSync(fd);
    return { uid, gid, bits: mode & 0o777 };
  } finally {
    closeSync(fd);
    unlinkSync(file);
  }
}

import { chmodSync, chownSync, linkSync, mkdirSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** What stands at a path of a build context: the content of a file, or more about it. */
export type FileSpec =
  | string
  | {
      /** A directory unless something else says what it is. */
      readonly content?: string | Buffer;
      readonly link?: string;
      /** Another path of the same tree. */
      readonly hardLink?: string;
      readonly mode?: number;
      readonly owner?: readonly [uid: number, gid: number];
    };

export type Files = Readonly<Record<string, FileSpec>>;

/** One moment for all files: times are no part of what is compared. */
const TIME = new Date('2001-02-03T04:05:06Z');

/** Makes these files below `root`, with modes that do not depend on the umask. */
export function makeFiles(root: string, files: Files): void {
  makeDirectory(root);
  const modes: (readonly [string, number])[] = [];
  for (const [path, spec] of Object.entries(files)) {
    const file = join(root, path);
    makeDirectory(dirname(file));
    if (typeof spec === 'string') {
      writeFileSync(file, spec);
      chmodSync(file, 0o644);
      utimesSync(file, TIME, TIME);
      continue;
    }
    const { content, link, hardLink, mode, owner } = spec;
    if (link !== undefined) symlinkSync(link, file);
    else if (hardLink !== undefined) linkSync(join(root, hardLink), file);
    else if (content !== undefined) writeFileSync(file, content);
    else makeDirectory(file);
    if (link !== undefined) continue;
    if (owner !== undefined) chownSync(file, ...owner);
    if (hardLink === undefined) modes.push([file, mode ?? (content === undefined ? 0o755 : 0o644)]);
  }
  // Last, so that nothing is made inside a directory that cannot be written.
  for (const [file, mode] of modes) chmodSync(file, mode);
}

function makeDirectory(path: string): void {
  if (mkdirSync(path, { recursive: true }) === undefined) return;
  chmodSync(path, 0o755);
}

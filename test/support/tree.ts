import { createHash } from 'node:crypto';
import { lstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';

/** Everything about a directory tree that an image keeps, one line an entry, sorted; mtime of anything but directories. */
export function listTree(root: string, { times = true }: { readonly times?: boolean } = {}): string[] {
  const lines: string[] = [];
  const visit = (path: string): void => {
    for (const name of readdirSync(join(root, path)).sort()) {
      const inside = path === '' ? name : `${path}/${name}`;
      const file = join(root, inside);
      const stats = lstatSync(file);
      const mode = (stats.mode & 0o7777).toString(8).padStart(4, '0');
      const what = stats.isSymbolicLink()
        ? `link ${readlinkSync(file)}`
        : stats.isDirectory()
          ? 'dir'
          : stats.isFile()
            ? `file ${createHash('sha256').update(readFileSync(file)).digest('hex').slice(0, 16)} links=${stats.nlink}`
            : 'special';
      const time = times && !stats.isDirectory() ? ` ${Math.floor(stats.mtimeMs / 1000)}` : '';
      lines.push(`${inside} ${stats.isSymbolicLink() ? '' : mode} ${stats.uid}:${stats.gid} ${what}${time}`);
      if (stats.isDirectory()) visit(inside);
    }
  };
  visit('');
  return lines;
}

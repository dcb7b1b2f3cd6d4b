import { createHash } from 'node:crypto';
import {
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  type Stats,
} from 'node:fs';
import { join } from 'node:path';
import { must } from '../../registry/support/programs.js';

/**
 * Unpacks layers with GNU tar, lowest first, and lists what is there: one line an entry, `path mode uid:gid what`; `what` holds the
 * content of short files, the target of links and, for hard links, the first name of the same file. None of the images compared here
 * deletes anything, so there are no whiteouts to apply.
 */
export async function unpackedTree(temp: string, layers: readonly string[]): Promise<string[]> {
  const dir = mkdtempSync(join(temp, 'tree-'));
  try {
    const root = join(dir, 'root');
    mkdirSync(root);
    for (const layer of layers)
      await must('tar', [
        '-x',
        '-p',
        '--numeric-owner',
        '--same-owner',
        '--delay-directory-restore',
        '-f',
        layer,
        '-C',
        root,
      ]);
    return list(root);
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

function list(root: string): string[] {
  const lines: string[] = [];
  const names = new Map<number, string>();
  const visit = (dir: string): void => {
    for (const name of readdirSync(Buffer.from(`${root}/${dir}`, 'latin1'), { encoding: 'latin1' }).sort()) {
      const path = dir === '' ? name : `${dir}/${name}`;
      const file = Buffer.from(`${root}/${path}`, 'latin1');
      const stats = lstatSync(file);
      if (name.startsWith('.wh.')) throw new Error(`${path}: a whiteout nobody applies`);
      const mode = stats.isSymbolicLink() ? '----' : (stats.mode & 0o7777).toString(8).padStart(4, '0');
      const what = describe(file, stats, names.get(stats.ino));
      if (!stats.isDirectory() && stats.nlink > 1 && !names.has(stats.ino)) names.set(stats.ino, path);
      lines.push(`${JSON.stringify(path).slice(1, -1)} ${mode} ${stats.uid}:${stats.gid} ${what}`);
      if (stats.isDirectory()) visit(path);
    }
  };
  visit('');
  return lines;
}

function describe(file: Buffer, stats: Stats, sameAs: string | undefined): string {
  if (stats.isDirectory()) return 'dir';
  if (stats.isSymbolicLink()) return `-> ${readlinkSync(file, { encoding: 'latin1' })}`;
  if (sameAs !== undefined) return `== ${sameAs}`;
  if (stats.isFIFO()) return 'fifo';
  if (!stats.isFile()) return 'special';
  const content = readFileSync(file);
  const shown = content.toString('latin1');
  return content.length <= 60 ? JSON.stringify(shown) : createHash('sha256').update(content).digest('hex').slice(0, 16);
}

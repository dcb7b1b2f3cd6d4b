import { describe, expect, it } from 'vitest';
import { digestOf } from '../../../src/image/digest.js';
import { type MergedTree, mergeTocs } from '../../../src/layers/merge.js';
import type { EntryType, LayerToc, TocEntry } from '../../../src/layers/toc.js';

type Line = readonly [type: EntryType, path: string, text?: string];

function layer(...lines: Line[]): LayerToc {
  const entries = lines.map(([type, path, text], index): TocEntry => {
    const link = type === 'symlink' || type === 'hardlink';
    return {
      path,
      type,
      mode: type === 'dir' ? 0o700 : 0o644,
      uid: 0,
      gid: 0,
      size: type === 'file' ? (text ?? '').length : 0,
      mtime: index,
      offset: index * 1024,
      ...(link ? { linkTarget: text ?? '' } : {}),
      ...(type === 'file' ? { digest: digestOf(text ?? '') } : {}),
    };
  });
  return { diffId: digestOf(JSON.stringify(lines)), unpackedSize: 0, entries };
}

/** `path` or `path -> target` for every path but the root, with the layer it is from. */
function show(tree: MergedTree): string[] {
  return [...tree.entries()]
    .filter(({ entry }) => entry.path !== '')
    .map(({ entry, layer: from }) => {
      const target = entry.linkTarget === undefined ? '' : ` ${entry.type} ${entry.linkTarget}`;
      return `${from}:${entry.path}${entry.type === 'dir' ? '/' : target}`;
    });
}

describe('merging layers', () => {
  it('lets upper layers win and merges directories', () => {
    const tree = mergeTocs([
      layer(['dir', 'etc'], ['file', 'etc/a', '1'], ['file', 'etc/b', '1']),
      layer(['dir', 'etc'], ['file', 'etc/b', '2'], ['file', 'etc/c', '2']),
    ]);
    expect(show(tree)).toEqual(['1:etc/', '0:etc/a', '1:etc/b', '1:etc/c']);
    expect(tree.get('etc/b')?.source?.entry.digest).toBe(digestOf('2'));
    expect(tree.children('etc').map(({ entry }) => entry.path)).toEqual(['etc/a', 'etc/b', 'etc/c']);
    expect(tree.children('etc/a')).toEqual([]);
    expect(tree.get('nothing')).toBeUndefined();
  });

  it('hides what whiteouts name, in lower layers only, wherever they stand in their layer', () => {
    const below = layer(['dir', 'd'], ['file', 'd/x', '1'], ['file', 'gone', '1'], ['file', 'new', '1']);
    const tree = mergeTocs([
      below,
      layer(
        ['whiteout', 'gone'],
        ['dir', 'd'],
        ['file', 'd/y', '2'],
        ['whiteout', 'd'],
        ['file', 'new', '2'],
        ['whiteout', 'new'],
      ),
    ]);
    expect(show(tree)).toEqual(['1:d/', '1:d/y', '1:new']);
  });

  it('hides everything below an opaque directory', () => {
    const tree = mergeTocs([
      layer(['dir', 'd'], ['dir', 'd/sub'], ['file', 'd/sub/x', '1']),
      layer(['dir', 'd'], ['file', 'd/own', '2'], ['opaque', 'd']),
      layer(['dir', 'd'], ['file', 'd/later', '3']),
    ]);
    expect(show(tree)).toEqual(['2:d/', '2:d/later', '1:d/own']);
  });

  it('replaces a directory by a file and a file by a directory', () => {
    const tree = mergeTocs([
      layer(['dir', 'd'], ['file', 'd/x', '1'], ['file', 'f', '1']),
      layer(['file', 'd', '2'], ['dir', 'f'], ['file', 'f/y', '2']),
    ]);
    expect(show(tree)).toEqual(['1:d', '1:f/', '1:f/y']);
  });

  it('shows parents that no layer has, and keeps those of lower layers', () => {
    const tree = mergeTocs([layer(['dir', 'a']), layer(['file', 'a/b/c', '2'])]);
    expect(tree.get('a')?.entry.mode).toBe(0o700);
    expect(tree.get('a/b')?.entry).toMatchObject({ type: 'dir', mode: 0o755, uid: 0, gid: 0 });
  });

  it('never lets a whiteout act through a symbolic link', () => {
    const tree = mergeTocs([
      layer(['dir', 'real'], ['file', 'real/x', '1'], ['symlink', 'link', 'real']),
      layer(['whiteout', 'link/x']),
    ]);
    expect(show(tree)).toEqual(['0:link symlink real', '0:real/', '0:real/x']);
  });

  it('keeps the content of a hard link whose first name is gone', () => {
    const tree = mergeTocs([
      layer(['file', 'a', 'one'], ['hardlink', 'b', 'a'], ['hardlink', 'c', 'a']),
      layer(['file', 'a', 'two']),
    ]);
    expect(show(tree)).toEqual(['1:a', '0:b', '0:c hardlink b']);
    expect(tree.get('b')).toMatchObject({ entry: { type: 'file', path: 'b', digest: digestOf('one') } });
    expect(tree.get('c')?.source?.entry.digest).toBe(digestOf('one'));
    expect(tree.get('a')?.source?.entry.digest).toBe(digestOf('two'));
  });

  it('names the first path of a hard link as the file, so that the entries can be packed in their order', () => {
    const tree = mergeTocs([layer(['file', 'z', 'one'], ['hardlink', 'a', 'z'])]);
    expect(show(tree)).toEqual(['0:a', '0:z hardlink a']);
    expect(tree.get('z')?.entry).toMatchObject({ type: 'hardlink', size: 0 });
  });

  it('refuses a hard link to nothing', () => {
    expect(() => mergeTocs([layer(['hardlink', 'a', 'b'])])).toThrow(/"a" is a hard link to "b", which is no file/);
  });

  describe('resolve', () => {
    const tree = mergeTocs([
      layer(
        ['dir', 'usr'],
        ['dir', 'usr/lib'],
        ['file', 'usr/lib/x', '1'],
        ['symlink', 'lib', 'usr/lib'],
        ['symlink', 'abs', '/usr'],
        ['symlink', 'usr/up', '../../../lib'],
        ['symlink', 'loop', 'loop2'],
        ['symlink', 'loop2', 'loop'],
        ['symlink', 'dangling', 'usr/none/deeper'],
      ),
    ]);
    it.each([
      ['lib/x', 'usr/lib/x', 'file'],
      ['/abs/lib/./x', 'usr/lib/x', 'file'],
      ['usr/up/x', 'usr/lib/x', 'file'],
      ['usr/up/../lib', 'usr/lib', 'dir'],
      ['../../etc', 'etc', undefined],
      ['dangling', 'usr/none/deeper', undefined],
      ['lib/none/../x', 'usr/lib/x', 'file'],
      ['usr/lib/x/y', 'usr/lib/x/y', undefined],
      ['', '', 'dir'],
    ])('%s is %s', (path, resolved, type) => {
      const result = tree.resolve(path);
      expect(result.path).toBe(resolved);
      expect(result.found?.entry.type).toBe(type);
    });

    it('ends when links go in a circle', () => {
      expect(() => tree.resolve('loop/x')).toThrow(expect.objectContaining({ code: 'E_NOT_FOUND' }));
    });
  });
});

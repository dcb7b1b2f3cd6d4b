import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { createReadStream, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { mergeTocs } from '../../../src/layers/merge.js';
import { mountLayers } from '../../../src/layers/mount-layers.js';
import { isMounted, mountOverlay, unmount } from '../../../src/layers/overlay.js';
import { packLayer } from '../../../src/layers/pack.js';
import { scanTree } from '../../../src/layers/scan.js';
import type { LayerToc, PackEntry } from '../../../src/layers/toc.js';
import { snapshotTree, treeChanges } from '../../../src/layers/tree-changes.js';
import { unpackLayer } from '../../../src/layers/unpack.js';
import { upperEntries } from '../../../src/layers/upper.js';
import { writeXattrs } from '../../../src/layers/xattrs.js';
import { file, whiteout } from '../../support/layered-image.js';
import { snapshot, withDirectory } from './trees.js';

/** Runs `work` with a mount that is gone afterwards. */
async function mounted<T>(mount: Parameters<typeof mountOverlay>[0], work: () => T | Promise<T>): Promise<T> {
  await mountOverlay(mount);
  try {
    return await work();
  } finally {
    await unmount(mount.target);
  }
}

function directories(dir: string, ...names: string[]): string[] {
  return names.map((name) => {
    mkdirSync(join(dir, name), { recursive: true });
    return join(dir, name);
  });
}

describe('an overlay', () => {
  it('shows upper layers over lower ones, and can be taken away twice', async () => {
    await withDirectory(async (dir) => {
      const [low = '', high = '', target = ''] = directories(dir, 'low', 'high', 'target');
      writeFileSync(join(low, 'a'), 'low');
      writeFileSync(join(low, 'b'), 'low');
      writeFileSync(join(high, 'b'), 'high');
      expect(await isMounted(target)).toBe(false);
      await mountOverlay({ lower: [low, high], target });
      expect(await isMounted(target)).toBe(true);
      expect([readFileSync(join(target, 'a'), 'utf8'), readFileSync(join(target, 'b'), 'utf8')]).toEqual([
        'low',
        'high',
      ]);
      expect(() => writeFileSync(join(target, 'c'), '')).toThrow(/EROFS/);
      await unmount(target);
      await unmount(target);
      expect(await isMounted(target)).toBe(false);
      expect(readdirSync(target)).toEqual([]);
    });
  });

  it.each([1, 130, 499, 500, 620])('takes %i layers with long and odd names', async (count) => {
    await withDirectory(async (dir) => {
      const [target = '', scratch = ''] = directories(dir, 'target: it,s\\ odd', 'scratch');
      const layers = Array.from({ length: count }, (_, index) => {
        const [layer = ''] = directories(dir, `layer,${index}:${'long'.repeat(20)}`);
        writeFileSync(join(layer, `own-${index}`), '');
        writeFileSync(join(layer, 'top'), String(index));
        return { dir: layer, toc: { entries: [] } };
      });
      await mountLayers({ layers, beside: join(dir, 'beside'), target, scratch });
      try {
        expect(await isMounted(target)).toBe(true);
        expect(readFileSync(join(target, 'top'), 'utf8')).toBe(String(count - 1));
        expect(readdirSync(target)).toHaveLength(count + 1);
      } finally {
        await unmount(target);
      }
      const mounts = readFileSync('/proc/self/mountinfo', 'utf8');
      expect(mounts).not.toContain(dir);
      expect(mounts).not.toContain('slipway-overlay-');
    });
  });

  it('applies whiteouts of a layer above to one below although they are far apart', async () => {
    await withDirectory(async (dir) => {
      const layers = Array.from({ length: 520 }, (_, index) => {
        const [layer = ''] = directories(dir, `l${index}`);
        const entries = index === 519 ? [whiteout('gone')] : index === 0 ? [file('gone', '')] : [];
        return { dir: layer, toc: { entries: entries.map((entry) => ({ ...entry, offset: 0 })) } };
      });
      writeFileSync(join(dir, 'l0', 'gone'), '');
      execFileSync('mknod', [join(dir, 'l519', 'gone'), 'c', '0', '0']);
      const [target = '', scratch = ''] = directories(dir, 'target', 'scratch');
      await mountLayers({ layers, beside: join(dir, 'beside'), target, scratch });
      try {
        expect(readdirSync(target)).toEqual([]);
      } finally {
        await unmount(target);
      }
    });
  });

  it('says what is wrong', async () => {
    await withDirectory(async (dir) => {
      const [low = '', target = ''] = directories(dir, 'low', 'target');
      await expect(mountOverlay({ lower: [join(dir, 'none')], target })).rejects.toMatchObject({
        code: 'E_MOUNT',
        message: expect.stringContaining('none'),
      });
      await expect(mountOverlay({ lower: [low], target: join(dir, 'none') })).rejects.toMatchObject({
        code: 'E_MOUNT',
      });
      await expect(mountOverlay({ lower: [low], target, upper: low, work: '/proc' })).rejects.toMatchObject({
        code: 'E_MOUNT',
      });
      writeFileSync(join(target, 'x'), '');
      await expect(mountOverlay({ lower: [low], target })).rejects.toMatchObject({
        code: 'E_MOUNT',
        message: expect.stringContaining('not empty'),
      });
      await expect(mountOverlay({ lower: Array(501).fill(low), target })).rejects.toMatchObject({
        code: 'E_UNSUPPORTED',
      });
      const layers = Array(998).fill({ dir: low, toc: { entries: [] } });
      await expect(mountLayers({ layers, beside: join(dir, 'beside'), target, scratch: dir })).rejects.toMatchObject({
        code: 'E_UNSUPPORTED',
        message: expect.stringContaining('998 layers'),
      });
      expect(await isMounted(target)).toBe(false);
    });
  });

  it('says so when it is in use', async () => {
    await withDirectory(async (dir) => {
      const [low = '', high = '', target = ''] = directories(dir, 'low', 'high', 'target');
      writeFileSync(join(low, 'file'), 'x');
      await mounted({ lower: [low, high], target }, async () => {
        const stream = createReadStream(join(target, 'file'));
        await once(stream, 'open');
        try {
          await expect(unmount(target)).rejects.toMatchObject({
            code: 'E_MOUNT',
            hint: expect.stringContaining('fuser'),
          });
        } finally {
          stream.destroy();
          await once(stream, 'close');
        }
      });
    });
  });
});

/** A layer made of what `prepare` puts into a directory; packed, and unpacked as a lower directory. */
async function layerOf(
  dir: string,
  name: string,
  entries: readonly PackEntry[],
): Promise<{ dir: string; file: string; toc: LayerToc }> {
  const file = join(dir, `${name}.tar`);
  const { toc } = await packLayer(entries, file, { compression: 'none' });
  const [unpacked = ''] = directories(dir, name);
  expect(
    await unpackLayer(createReadStream(file), { compression: 'none', dir: unpacked, whiteouts: 'overlay' }),
  ).toEqual(toc);
  return { dir: unpacked, file, toc };
}

type How = 'an overlay' | 'a plain directory';

/** Runs shell commands over one layer, in an overlay or in a copy, and gives the layer of what they changed. */
async function changedBy(dir: string, prepare: string, commands: string, how: How = 'an overlay') {
  const [source = '', upper = '', work = '', target = '', empty = ''] = directories(
    dir,
    'source',
    'upper',
    'work',
    'target',
    'empty',
  );
  execFileSync('sh', ['-c', prepare], { cwd: source, stdio: 'pipe' });
  const base = await layerOf(dir, 'base', await scanTree(source));
  const tree = mergeTocs([base.toc]);
  if (how === 'a plain directory') {
    const [plain = ''] = directories(dir, 'plain');
    await unpackLayer(createReadStream(base.file), {
      compression: 'none',
      dir: plain,
      whiteouts: 'apply',
      setuid: true,
    });
    const before = snapshotTree(plain);
    execFileSync('sh', ['-c', commands], { cwd: plain, stdio: 'pipe' });
    return { base, entries: await treeChanges(plain, before, tree), shown: snapshot(plain), target };
  }
  const [entries, shown] = await mounted({ lower: [empty, base.dir], upper, work, target }, async () => {
    execFileSync('sh', ['-c', commands], { cwd: target, stdio: 'pipe' });
    return [await upperEntries(upper, tree), snapshot(target)] as const;
  });
  return { base, entries, shown, target };
}

/** Everything but what the times of directories are, which nobody intends. */
function comparable(dir: string) {
  return withoutDirectoryTimes(snapshot(dir));
}
function withoutDirectoryTimes(shown: ReturnType<typeof snapshot>) {
  return shown.map((item) => (item.kind === 'dir' ? { ...item, mtime: 0 } : item));
}

/** The layer that was made shows the same tree: unpacked over the base, mounted over it, and merged from tables of contents. */
async function expectSame(dir: string, { base, entries, shown, target }: Awaited<ReturnType<typeof changedBy>>) {
  const layer = await layerOf(dir, 'change', entries);
  const [applied = ''] = directories(dir, 'applied');
  for (const { file } of [base, layer]) {
    await unpackLayer(createReadStream(file), { compression: 'none', dir: applied, whiteouts: 'apply', setuid: true });
  }
  expect(comparable(applied)).toEqual(withoutDirectoryTimes(shown));
  await mounted({ lower: [base.dir, layer.dir], target }, () => {
    expect(comparable(target)).toEqual(withoutDirectoryTimes(shown));
  });
  const merged = [...mergeTocs([base.toc, layer.toc]).entries()]
    .map(({ entry }) => entry.path)
    .filter((path) => path !== '');
  expect(merged.sort()).toEqual(shown.map(({ path }) => path).sort());
}

function lines(entries: readonly PackEntry[]): string[] {
  return entries.map(({ type, path }) => `${type} ${path}`);
}

const TREE =
  'mkdir -p a/b/c d e; echo 1 >a/x; echo 1 >a/b/y; echo 1 >a/b/c/z; echo 1 >d/x; ln d/x d/hard; ln -s d e/link; echo 1 >f; chmod 750 a';

describe.each<How>(['an overlay', 'a plain directory'])('a layer of what was changed in %s', (how) => {
  it.each<[string, string, string[]]>([
    ['nothing', 'true', []],
    ['reading', 'cat f a/x; ls -R', []],
    [
      'what is as it was before',
      'chmod 644 f; chmod 750 a; >>a/x; touch -r a/b/y t; echo 2 >a/b/y; echo 1 >a/b/y; touch -r t a/b/y; rm t',
      [],
    ],
    ['a time', 'touch -d @5 f', ['file f']],
    ['what was made and removed again', 'echo >a/new; rm a/new; mkdir a/n; rmdir a/n', []],
    ['a new file, with the directories that it is in', 'echo 2 >a/b/new', ['dir a', 'dir a/b', 'file a/b/new']],
    ['a changed file', 'echo 2 >f', ['file f']],
    ['a removed file', 'rm a/x', ['dir a', 'whiteout a/x']],
    [
      'removed files share a device, and that is no hard link',
      'rm a/x a/b/y d/x',
      ['dir a', 'whiteout a/x', 'dir a/b', 'whiteout a/b/y', 'dir d', 'whiteout d/x'],
    ],
    ['a removed tree', 'rm -r a', ['whiteout a']],
    [
      'a directory that was removed and made again',
      'rm -r a; mkdir a; echo 2 >a/new',
      ['dir a', 'whiteout a/b', 'whiteout a/x', 'file a/new'],
    ],
    [
      'one with directories in it',
      'rm -r a; mkdir -p a/b; echo 2 >a/b/new',
      ['dir a', 'whiteout a/x', 'dir a/b', 'whiteout a/b/c', 'whiteout a/b/y', 'file a/b/new'],
    ],
    ['a directory in the place of a file', 'rm f; mkdir f; echo 2 >f/x', ['dir f', 'file f/x']],
    ['a file in the place of a directory', 'rm -r a; echo 2 >a', ['file a']],
    ['the mode of a directory', 'chmod 700 a/b', ['dir a', 'dir a/b']],
    ['whiteouts come first', 'rm a/x; echo 2 >a/!first', ['dir a', 'whiteout a/x', 'file a/!first']],
    ['new hard links', 'echo 2 >n1; ln n1 n2', ['file n1', 'hardlink n2']],
    ['an extended attribute', 'setcap cap_net_raw+ep f', ['file f']],
  ])('%s', async (_, commands, expected) => {
    await withDirectory(async (dir) => {
      const result = await changedBy(dir, TREE, commands, how);
      // Without overlayfs the other names of a removed file are seen to be touched.
      expect(lines(result.entries).filter((line) => line !== 'file d/hard')).toEqual(expected);
      await expectSame(dir, result);
    });
  });

  it('carries file capabilities', async () => {
    await withDirectory(async (dir) => {
      const { entries } = await changedBy(dir, TREE, 'setcap cap_net_raw+ep f', how);
      expect(Object.keys(entries[0]?.xattrs ?? {})).toEqual(['security.capability']);
      const layer = await layerOf(dir, 'change', entries);
      expect(execFileSync('getcap', [join(layer.dir, 'f')], { encoding: 'utf8' })).toContain('cap_net_raw');
    });
  });

  it('leaves out whiteouts that hide nothing, and refuses files that are kept in parts', async () => {
    await withDirectory(async (dir) => {
      const [upper = '', parts = ''] = directories(dir, 'upper', 'parts');
      execFileSync('mknod', [join(upper, 'nothing'), 'c', '0', '0']);
      expect(await upperEntries(upper, mergeTocs([]))).toEqual([]);
      const redirect = { 'trusted.overlay.redirect': Buffer.from('/elsewhere').toString('base64') };
      directories(parts, 'moved');
      await writeXattrs(parts, [{ path: 'moved', xattrs: redirect }]);
      await expect(upperEntries(parts, mergeTocs([]))).rejects.toMatchObject({
        code: 'E_UNSUPPORTED',
        message: expect.stringContaining('moved'),
      });
    });
  });

  it('leaves sockets out', async () => {
    await withDirectory(async (dir) => {
      const make =
        "perl -e 'use IO::Socket::UNIX; IO::Socket::UNIX->new(Local => q(a/sock), Listen => 1) or die'; echo new >a/new";
      const { entries } = await changedBy(dir, TREE, make, how);
      const paths = entries.map(({ path }) => path);
      expect(paths).toContain('a/new');
      expect(paths).not.toContain('a/sock');
    });
  });

  it('shows the same tree whatever was done', async () => {
    const path = fc.constantFrom(
      'a',
      'a/b',
      'a/b/c',
      'a/x',
      'a/b/y',
      'd',
      'd/x',
      'd/hard',
      'f',
      'e/link',
      'new',
      'a/new',
      'new/sub',
    );
    const command = fc.oneof(
      path.map((p) => `echo changed >${p}`),
      path.map((p) => `rm -rf ${p}`),
      path.map((p) => `mkdir ${p}`),
      path.map((p) => `chmod 700 ${p}`),
      path.map((p) => `chown 5:6 ${p}`),
      fc.tuple(path, path).map(([from, to]) => `mv ${from} ${to}`),
      fc.tuple(path, path).map(([from, to]) => `ln ${from} ${to}`),
      fc.tuple(path, path).map(([from, to]) => `ln -s ${from} ${to}`),
      fc.tuple(path, path).map(([from, to]) => `cp -a ${from} ${to}`),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(command, { minLength: 1, maxLength: 12 }), async (commands) => {
        await withDirectory(async (dir) => {
          await expectSame(dir, await changedBy(dir, TREE, commands.map((line) => `${line} || true`).join('\n'), how));
        });
      }),
      { numRuns: 60 },
    );
  });
});

describe('unpacking as a lower directory of overlayfs', () => {
  it('writes many whiteouts and opaque directories that the kernel understands', async () => {
    await withDirectory(async (dir) => {
      const facts = { mode: 0o755, uid: 0, gid: 0, size: 0, mtime: 5 };
      const names = Array.from({ length: 300 }, (_, index) => `d/f${String(index).padStart(3, '0')}`);
      const file = (path: string): PackEntry => ({ path, type: 'file', ...facts });
      const folder = (path: string): PackEntry => ({ path, type: 'dir', ...facts });
      const base = await layerOf(dir, 'base', [
        folder('d'),
        ...names.map(file),
        folder('o'),
        file('o/old'),
        folder('r'),
        file('r/old'),
      ]);
      const whiteouts = names.slice(1).map((path): PackEntry => ({ path, type: 'whiteout', ...facts, mode: 0 }));
      const above = await layerOf(dir, 'above', [
        folder('d'),
        ...whiteouts,
        folder('o'),
        { path: 'o', type: 'opaque', ...facts },
        file('o/new'),
        { path: 'r', type: 'whiteout', ...facts },
        folder('r'),
        file('r/new'),
      ]);
      const [target = ''] = directories(dir, 'target');
      await mounted({ lower: [base.dir, above.dir], target }, () => {
        expect(snapshot(target).map(({ path }) => path)).toEqual(['d', 'd/f000', 'o', 'o/new', 'r', 'r/new']);
      });
      expect(statSync(join(above.dir, 'd')).mtimeMs).toBe(5000);
    });
  });
});

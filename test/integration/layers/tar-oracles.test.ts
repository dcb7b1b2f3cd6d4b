import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { createReadStream, mkdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Compression, compressionOf } from '../../../src/image/media-types.js';
import { indexLayer } from '../../../src/layers/index-layer.js';
import { packLayer } from '../../../src/layers/pack.js';
import { scanTree } from '../../../src/layers/scan.js';
import { tarStream } from '../../../src/layers/tar-stream-out.js';
import { unpackLayer } from '../../../src/layers/unpack.js';
import { snapshot, trees, withDirectory } from './trees.js';

const RUNS = { numRuns: 40 };

async function unpackInto(dir: string, file: string, compression: Compression = 'none') {
  mkdirSync(dir, { recursive: true });
  return unpackLayer(createReadStream(file), { compression, dir, whiteouts: 'apply', setuid: true });
}

describe('a layer that we pack', () => {
  it('is unpacked by GNU tar and by us to the same tree, and packs again to the same bytes', async () => {
    await fc.assert(
      fc.asyncProperty(trees, async (entries) => {
        await withDirectory(async (dir) => {
          const layer = join(dir, 'layer.tar');
          const packed = await packLayer(entries, layer, { compression: 'none' });
          const [theirs, ours] = [join(dir, 'theirs'), join(dir, 'ours')];
          mkdirSync(theirs);
          execFileSync('tar', ['-xpf', layer, '-C', theirs, '--numeric-owner', '--delay-directory-restore'], {
            stdio: 'pipe',
          });
          const toc = await unpackInto(ours, layer);
          expect(snapshot(ours)).toEqual(snapshot(theirs));
          expect(toc).toEqual(packed.toc);
          const again = await packLayer(await scanTree(ours), join(dir, 'again.tar'), { compression: 'none' });
          expect(again.toc.entries.map(({ path, type }) => `${type} ${path}`)).toEqual(
            entries.map(({ path, type }) => `${type} ${path}`),
          );
          expect(again.digest).toBe(packed.digest);
        });
      }),
      RUNS,
    );
  });

  it.each<[Compression, string]>([
    ['gzip', 'gzip'],
    ['zstd', 'zstd'],
  ])('passes the test of %s', async (compression, program) => {
    await withDirectory(async (dir) => {
      const file = join(dir, 'layer');
      writeFileSync(join(dir, 'zeros'), Buffer.alloc(3_000_001));
      const packed = await packLayer(
        await scanTree('/usr/share/doc/tar').then((docs) => [
          ...docs,
          ...entriesOf(join(dir, 'zeros'), '/usr/bin/perl'),
        ]),
        file,
        { compression },
      );
      execFileSync(program, ['-t', '-q'], { input: readFileSync(file), maxBuffer: 1e9 });
      expect(statSync(file).size).toBe(packed.size);
      expect(execFileSync('sha256sum', [file], { encoding: 'utf8' }).slice(0, 64)).toBe(packed.digest.slice(7));
      const tar = execFileSync(program, ['-dc', '-q'], { input: readFileSync(file), maxBuffer: 1e9 });
      expect(execFileSync('sha256sum', { input: tar, encoding: 'utf8' }).slice(0, 64)).toBe(packed.toc.diffId.slice(7));
      expect(tar.length).toBe(packed.toc.unpackedSize);
      expect(await indexLayer(createReadStream(file), compression)).toEqual(packed.toc);
      for (const entry of packed.toc.entries.filter(({ type }) => type === 'file')) {
        const content = tar.subarray(entry.offset, entry.offset + entry.size);
        expect(createHash('sha256').update(content).digest('hex')).toBe(entry.digest?.slice(7));
      }
    });
  });

  it('carries extended attributes to GNU tar and back', async () => {
    await withDirectory(async (dir) => {
      const layer = join(dir, 'layer.tar');
      const capability = Buffer.from('0100000200200000000000000000000000000000', 'hex').toString('base64');
      const xattrs = { 'security.capability': capability, 'user.note': Buffer.from('hé\0\n').toString('base64') };
      const attributes = { mode: 0o755, uid: 0, gid: 0, size: 0, mtime: 5, xattrs };
      await packLayer([{ path: 'ping', type: 'file', ...attributes }], layer, { compression: 'none' });
      const [theirs, ours] = [join(dir, 'theirs'), join(dir, 'ours')];
      mkdirSync(theirs);
      execFileSync('tar', ['-xpf', layer, '-C', theirs, '--xattrs', '--xattrs-include=*']);
      await unpackInto(ours, layer);
      for (const made of [theirs, ours]) {
        expect(execFileSync('getcap', [join(made, 'ping')], { encoding: 'utf8' })).toContain('cap_net_raw');
        expect((await scanTree(made, { xattrs: true }))[0]?.xattrs).toEqual(xattrs);
      }
    });
  });

  it('can be streamed to GNU tar', async () => {
    await withDirectory(async (dir) => {
      const source = join(dir, 'source');
      mkdirSync(join(source, 'sub'), { recursive: true });
      writeFileSync(join(source, 'sub/big'), Buffer.alloc(5_000_000, 'abc'));
      symlinkSync('big', join(source, 'sub/link'));
      const out = join(dir, 'out.tar');
      const pieces: Buffer[] = [];
      for await (const piece of tarStream(await scanTree(source))) pieces.push(piece as Buffer);
      writeFileSync(out, Buffer.concat(pieces));
      mkdirSync(join(dir, 'there'));
      execFileSync('tar', ['-xpf', out, '-C', join(dir, 'there')]);
      expect(snapshot(join(dir, 'there'))).toEqual(snapshot(source));
    });
  });
});

describe('we unpack what others pack', () => {
  const formats: [string, (source: string, file: string) => void][] = [
    ...['gnu', 'pax', 'oldgnu'].map((format): [string, (source: string, file: string) => void] => [
      `GNU tar --format=${format}`,
      (source, file) => void execFileSync('tar', [`--format=${format}`, '-C', source, '-cf', file, '.']),
    ]),
    ...['USTAR', 'GNU', 'PAX'].map((format): [string, (source: string, file: string) => void] => [
      `Python's tarfile, ${format}`,
      (source, file) =>
        void execFileSync('python3', [
          '-c',
          `import sys,tarfile; t=tarfile.open(sys.argv[2],'w',format=tarfile.${format}_FORMAT); t.add(sys.argv[1],'.'); t.close()`,
          source,
          file,
        ]),
    ]),
  ];

  it.each(formats)('%s', async (name, pack) => {
    const small = name.includes('USTAR');
    await fc.assert(
      fc.asyncProperty(trees, async (entries) => {
        // ustar has no long names, big ids or names that are not ASCII: those who write it fail.
        const fits = (path: string) => path.length < 95 && /^[\x20-\x7e]*$/.test(path);
        if (
          small &&
          !entries.every(
            (e) =>
              fits(e.path) &&
              fits(e.linkTarget ?? '') &&
              Math.max(e.uid, e.gid) < 2 ** 21 &&
              e.mtime >= 0 &&
              e.mtime < 2 ** 33,
          )
        )
          return;
        await withDirectory(async (dir) => {
          const source = join(dir, 'source');
          await packLayer(entries, join(dir, 'first.tar'), { compression: 'none' });
          await unpackInto(source, join(dir, 'first.tar'));
          pack(source, join(dir, 'theirs.tar'));
          await unpackInto(join(dir, 'ours'), join(dir, 'theirs.tar'));
          expect(snapshot(join(dir, 'ours'))).toEqual(snapshot(source));
        });
      }),
      { numRuns: 15 },
    );
  });

  it('umoci, with whiteouts', async () => {
    await withDirectory(async (dir) => {
      const umoci = (...args: string[]) => execFileSync('umoci', args, { cwd: dir, stdio: 'pipe' });
      umoci('init', '--layout', 'oci');
      umoci('new', '--image', 'oci:t');
      umoci('unpack', '--image', 'oci:t', 'bundle');
      const root = join(dir, 'bundle/rootfs');
      mkdirSync(join(root, 'etc/sub'), { recursive: true });
      writeFileSync(join(root, 'etc/keep'), 'keep');
      writeFileSync(join(root, 'etc/drop'), 'drop');
      writeFileSync(join(root, 'etc/sub/inner'), 'inner');
      symlinkSync('keep', join(root, 'etc/link'));
      wholeSeconds(root);
      umoci('repack', '--image', 'oci:t', '--refresh-bundle', 'bundle');
      execFileSync('rm', ['-rf', 'etc/drop', 'etc/sub', 'etc/link'], { cwd: root });
      writeFileSync(join(root, 'etc/link'), 'a file now');
      wholeSeconds(root);
      umoci('repack', '--image', 'oci:t', '--refresh-bundle', 'bundle');
      const layers = layersOf(join(dir, 'oci'));
      expect(layers).toHaveLength(2);
      mkdirSync(join(dir, 'ours'));
      for (const { file, compression } of layers) await unpackInto(join(dir, 'ours'), file, compression);
      expect(snapshot(join(dir, 'ours'))).toEqual(snapshot(root));
    });
  });

  it('buildah', async () => {
    await withDirectory(async (dir) => {
      const storage = ['--root', join(dir, 'root'), '--runroot', join(dir, 'run'), '--storage-driver', 'vfs'];
      const buildah = (...args: string[]) =>
        execFileSync('buildah', [...storage, ...args], { cwd: dir, encoding: 'utf8', stdio: 'pipe' }).trim();
      const source = join(dir, 'source');
      mkdirSync(join(source, 'sub'), { recursive: true });
      writeFileSync(join(source, 'sub/file'), Buffer.alloc(100_000, 'x'), { mode: 0o640 });
      symlinkSync('file', join(source, 'sub/link'));
      wholeSeconds(source);
      const container = buildah('from', 'scratch');
      buildah('copy', container, source, '/opt');
      buildah('commit', '-q', container, `oci:${join(dir, 'oci')}:t`);
      buildah('rm', container);
      const [layer] = layersOf(join(dir, 'oci'));
      expect(layer).toBeDefined();
      const toc = await unpackInto(join(dir, 'ours'), layer?.file ?? '', layer?.compression);
      expect(toc.diffId).toBe(layer?.diffId);
      expect(snapshot(join(dir, 'ours/opt'))).toEqual(snapshot(source));
    });
  });
});

/** Go's archive/tar rounds times to the nearest second, and not down. */
function wholeSeconds(dir: string): void {
  execFileSync('find', [dir, '-exec', 'touch', '-h', '-d', '@1700000000', '{}', '+']);
}

/** The layers of the only image of a layout, lowest first. */
function layersOf(layout: string): { file: string; compression: Compression; diffId: string }[] {
  const blob = (digest: string) => join(layout, 'blobs/sha256', digest.slice(7));
  const json = (file: string) => JSON.parse(readFileSync(file, 'utf8'));
  const manifest = json(blob(json(join(layout, 'index.json')).manifests[0].digest));
  const config = json(blob(manifest.config.digest));
  return manifest.layers.map(({ digest, mediaType }: { digest: string; mediaType: string }, index: number) => ({
    file: blob(digest),
    compression: compressionOf(mediaType),
    diffId: config.rootfs.diff_ids[index],
  }));
}

function entriesOf(...files: string[]) {
  return files.map((file, index) => ({
    path: `zz${index}`,
    type: 'file' as const,
    mode: 0o644,
    uid: 0,
    gid: 0,
    size: statSync(file).size,
    mtime: 0,
    content: { file },
  }));
}

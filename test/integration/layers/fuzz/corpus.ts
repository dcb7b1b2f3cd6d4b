import { execFileSync } from 'node:child_process';
import { chownSync, linkSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { packLayer } from '../../../../src/layers/pack.js';
import { scanTree } from '../../../../src/layers/scan.js';
import { gnuLong, pax, rawTar } from '../../../unit/layers/raw-tar.js';

/**
 * Honest archives of a small tree, by whom they were made: GNU tar, bsdtar, Python, Go (umoci), us, and by hand.
 * @param special FIFOs, devices and extended attributes too: each costs a process when it is unpacked.
 */
export async function corpus(
  dir: string,
  { special }: { readonly special: boolean },
): Promise<ReadonlyMap<string, Buffer>> {
  const tree = join(dir, 'tree');
  mkdirSync(dir, { recursive: true });
  makeTree(tree, special);
  const found = new Map<string, Buffer>();
  const run = (program: string, ...args: string[]): void =>
    void execFileSync(program, args, { cwd: dir, stdio: 'pipe' });
  const keep = (name: string, file: string): void => void found.set(name, readFileSync(join(dir, file)));
  // What a format cannot carry is left out.
  const leftOut = (format: string): readonly string[] => {
    if (format === 'v7') return ['./long*', './big-owner', './d/pipe', './d/null'];
    return format === 'ustar' ? ['./long*', './big-owner'] : [];
  };
  for (const format of ['v7', 'oldgnu', 'gnu', 'ustar', 'pax']) {
    const excluded = leftOut(format).map((path) => `--exclude=${path}`);
    const xattrs = special && format === 'pax' ? ['--xattrs'] : [];
    run('tar', `--format=${format}`, ...excluded, ...xattrs, '-C', tree, '-cf', `gnu-${format}`, '.');
    keep(`GNU tar --format=${format}`, `gnu-${format}`);
  }
  run('tar', '--format=gnu', '--label=volume', '-C', tree, '-cf', 'labelled', 'd');
  keep('GNU tar --label', 'labelled');
  for (const format of ['ustar', 'pax', 'gnutar', 'v7']) {
    const excluded = leftOut(format).flatMap((path) => ['--exclude', path]);
    run('bsdtar', '--format', format, ...excluded, '-C', tree, '-cf', `bsd-${format}`, '.');
    keep(`bsdtar --format ${format}`, `bsd-${format}`);
  }
  for (const format of ['GNU', 'PAX']) {
    const program = `import sys,tarfile; t=tarfile.open(sys.argv[2],'w',format=tarfile.${format}_FORMAT); t.add(sys.argv[1],'.'); t.close()`;
    run('python3', '-c', program, tree, `python-${format}`);
    keep(`Python's tarfile, ${format}`, `python-${format}`);
  }
  found.set('umoci', umociLayer(dir, tree, run));
  await packLayer(await scanTree(tree, { xattrs: special }), join(dir, 'ours'), { compression: 'none' });
  keep('slipway', 'ours');
  found.set('by hand', byHand(special));
  return found;
}

function makeTree(tree: string, special: boolean): void {
  mkdirSync(join(tree, 'd/e'), { recursive: true });
  writeFileSync(join(tree, 'd/f'), 'some content\n'.repeat(60));
  writeFileSync(join(tree, 'd/empty'), '');
  writeFileSync(join(tree, 'd/block'), Buffer.alloc(512, 'b'));
  linkSync(join(tree, 'd/f'), join(tree, 'd/hard'));
  symlinkSync('d', join(tree, 'l'));
  symlinkSync('../d/f', join(tree, 'd/up'));
  writeFileSync(join(tree, `long-${'n'.repeat(120)}`), 'long name');
  symlinkSync(`${'t/'.repeat(80)}t`, join(tree, 'long-link'));
  writeFileSync(join(tree, 'caf\u00e9'), 'not ASCII');
  writeFileSync(join(tree, 'big-owner'), 'x');
  chownSync(join(tree, 'big-owner'), 3_000_000, 4_000_000);
  if (special) {
    execFileSync('mkfifo', [join(tree, 'd/pipe')]);
    execFileSync('mknod', [join(tree, 'd/null'), 'c', '1', '3']);
    execFileSync('setfattr', ['-n', 'user.note', '-v', 'text', join(tree, 'd/f')]);
  }
  // The same archives each time, so that a seed means the same.
  execFileSync('find', [tree, '-exec', 'touch', '-h', '-d', '@1000000000', '{}', '+']);
}

function umociLayer(dir: string, tree: string, run: (program: string, ...args: string[]) => void): Buffer {
  run('umoci', 'init', '--layout', 'oci');
  run('umoci', 'new', '--image', 'oci:t');
  run('umoci', 'unpack', '--image', 'oci:t', 'bundle');
  run('cp', '-a', `${tree}/.`, 'bundle/rootfs');
  run('umoci', 'repack', '--image', 'oci:t', 'bundle');
  const blobs = join(dir, 'oci/blobs/sha256');
  const layer = readdirSync(blobs)
    .map((name) => readFileSync(join(blobs, name)))
    .find((bytes) => bytes[0] === 0x1f && bytes[1] === 0x8b);
  if (layer === undefined) throw new Error('umoci made no layer');
  return gunzipSync(layer);
}

function byHand(special: boolean): Buffer {
  return rawTar(
    pax({ comment: 'all', mtime: '12.5' }, 'g'),
    { name: 'd/', type: '5', mode: 0o755 },
    { name: 'd/f', content: 'x'.repeat(700), uid: 1, gid: 2 },
    { name: 'd/f', content: 'again' },
    gnuLong('L', `d/${'g'.repeat(150)}`),
    { name: 'd/short', content: 'long by GNU' },
    gnuLong('K', 'k'.repeat(150)),
    { name: 'l', type: '2', link: 'd' },
    pax({ path: `d/${'p'.repeat(150)}`, size: '5', uid: '70000', ...(special ? { 'SCHILY.xattr.user.a': 'b' } : {}) }),
    { name: 'd/short', content: 'by pax'.slice(0, 5) },
    { name: 'l/through', content: 'a link' },
    { name: 'd/hard', type: '1', link: './d//f' },
    { name: 'old/', type: '\0' },
    { name: 'd/.wh.gone' },
    { name: 'd/.wh..wh..opq' },
  );
}

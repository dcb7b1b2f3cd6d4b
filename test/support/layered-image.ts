import { readFile, rm } from 'node:fs/promises';
import { MEDIA } from '../../src/image/media-types.js';
import { encodeJson } from '../../src/image/oci.js';
import { packLayer } from '../../src/layers/pack.js';
import { comparePaths, type PackEntry } from '../../src/layers/toc.js';
import { Store } from '../../src/store/store.js';

/** Puts an image with these layers, lowest first, into the store at `root`. */
export async function putLayeredImage(
  root: string,
  name: string,
  layers: readonly (readonly PackEntry[])[],
): Promise<void> {
  const store = await Store.open(root);
  try {
    const descriptors = [];
    const diffIds = [];
    const file = await store.temp.path('packed');
    for (const entries of layers) {
      const { mediaType, toc } = await packLayer(entries, file, { compression: 'gzip', level: 1 });
      descriptors.push({ mediaType, ...(await store.putBlob(await readFile(file))) });
      diffIds.push(toc.diffId);
    }
    await rm(file, { force: true });
    const config = await store.putBlob(
      encodeJson({
        architecture: process.arch === 'arm64' ? 'arm64' : 'amd64',
        os: 'linux',
        config: { Env: ['PATH=/bin'] },
        rootfs: { type: 'layers', diff_ids: diffIds },
      }),
    );
    const manifest = await store.putBlob(
      encodeJson({
        schemaVersion: 2,
        mediaType: MEDIA.manifest,
        config: { mediaType: MEDIA.config, ...config },
        layers: descriptors,
      }),
    );
    await store.tag(name, { mediaType: MEDIA.manifest, ...manifest });
  } finally {
    await store.close();
  }
}

export const dir = (path: string, facts: Partial<PackEntry> = {}): PackEntry => ({
  ...plain(path),
  type: 'dir',
  mode: 0o755,
  ...facts,
});
export const file = (path: string, text: string, facts: Partial<PackEntry> = {}): PackEntry => ({
  ...plain(path),
  size: Buffer.byteLength(text),
  content: { bytes: Buffer.from(text) },
  ...facts,
});
export const symlink = (path: string, linkTarget: string): PackEntry => ({
  ...plain(path),
  type: 'symlink',
  mode: 0o777,
  linkTarget,
});
export const hardlink = (path: string, linkTarget: string): PackEntry => ({
  ...plain(path),
  type: 'hardlink',
  linkTarget,
});
export const whiteout = (path: string): PackEntry => ({ ...plain(path), type: 'whiteout', mode: 0 });
export const opaque = (path: string): PackEntry => ({ ...plain(path), type: 'opaque', mode: 0 });

function plain(path: string): PackEntry {
  return { path, type: 'file', mode: 0o644, uid: 0, gid: 0, size: 0, mtime: 1_000_000 };
}

/** Numbers from 0 to 1 (mulberry32). */
function randomNumbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/**
 * Layers that undo each other over a small set of paths: each replaces, hides and makes opaque what earlier ones have made, changes the kind
 * of what is at a path, its mode and owner, and leaves one file of its own. The same seed gives the same layers.
 */
export function quarrellingLayers(count: number, seed: number): PackEntry[][] {
  const random = randomNumbers(seed);
  const below = (limit: number): number => Math.floor(random() * limit);
  /** Directories as they are after the last layer, with their attributes; '' stands for no directory. */
  const directories = new Map<string, PackEntry>();
  return Array.from({ length: count }, (_, number) => {
    const layer = new Map<string, PackEntry>();
    const mtime = 1_000_000 + number;
    const facts = (): Partial<PackEntry> => ({
      mtime,
      uid: below(3) * 7,
      gid: below(3) * 11,
      mode: [0o644, 0o4755, 0o600, 0o1640][below(4)] ?? 0,
    });
    const forget = (path: string): void => {
      for (const known of [...directories.keys()])
        if (known === path || known.startsWith(`${path}/`)) directories.delete(known);
    };
    /** Makes the parents that there are not, and repeats those that there are. */
    const within = (path: string): void => {
      const parts = path.split('/').slice(0, -1);
      for (const index of parts.keys()) {
        const parent = parts.slice(0, index + 1).join('/');
        // Many tools leave out the parents of what they change.
        if (directories.has(parent) && random() < 0.3) continue;
        const known =
          directories.get(parent) ??
          dir(parent, { mtime, mode: [0o755, 0o700, 0o1777][below(3)] ?? 0, uid: below(2) * 5 });
        directories.set(parent, known);
        layer.set(parent, known);
      }
    };
    const free = (path: string): boolean =>
      ![...layer.keys()].some((taken) => {
        const bare = taken.replace(/\0.*/, '');
        return (
          bare === path ||
          bare.startsWith(`${path}/`) ||
          (path.startsWith(`${bare}/`) && layer.get(taken)?.type !== 'dir')
        );
      });
    for (let step = 0; step < 4; step++) {
      const top = `d${below(5)}`;
      const path = [top, `${top}/e${below(3)}`, `${top}/e${below(3)}/f${below(4)}`][below(3)] ?? '';
      if (!free(path)) continue;
      within(path);
      switch (below(7)) {
        case 0:
        case 1:
          forget(path);
          layer.set(path, file(path, `layer ${number}`, facts()));
          break;
        case 2:
          forget(path);
          layer.set(`${path}\0wh`, whiteout(path));
          break;
        case 3:
          forget(path);
          layer.set(path, symlink(path, `../${number}`));
          break;
        case 4:
          // Everything that was inside goes, something else comes.
          forget(path);
          directories.set(path, dir(path, { ...facts(), mode: 0o750 }));
          layer.set(path, directories.get(path) as PackEntry);
          layer.set(`${path}\0opq`, opaque(path));
          layer.set(`${path}/new`, file(`${path}/new`, `${number}`, facts()));
          layer.set(`${path}/same`, hardlink(`${path}/same`, `${path}/new`));
          break;
        case 5:
          // Hidden, and made again in the same layer.
          forget(path);
          directories.set(path, dir(path, { mtime }));
          layer.set(`${path}\0wh`, whiteout(path));
          layer.set(path, directories.get(path) as PackEntry);
          layer.set(`${path}/again`, file(`${path}/again`, `${number}`));
          break;
        default:
          directories.set(path, dir(path, { ...facts(), mode: [0o711, 0o2755, 0o700][below(3)] ?? 0 }));
          layer.set(path, directories.get(path) as PackEntry);
      }
    }
    within(`own/${number % 10}/${number}`);
    layer.set(`own/${number % 10}/${number}`, file(`own/${number % 10}/${number}`, String(number), facts()));
    return [...layer].sort(([a], [b]) => comparePaths(order(a), order(b))).map(([, entry]) => entry);
  });
}

/** Whiteouts come before what is made under their name, opaque marks before what is inside. */
function order(key: string): string {
  return key.endsWith('\0wh') ? key.slice(0, -3) : key.endsWith('\0opq') ? `${key.slice(0, -4)}/\0` : `${key}\0`;
}

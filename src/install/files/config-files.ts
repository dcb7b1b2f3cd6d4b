import { digestOf } from '../../image/digest.js';
import { comparePaths } from '../../layers/toc.js';
import type { ConfigSpec } from '../spec/cluster-spec.js';
import { configText, needsBefore, refused } from './config-text.js';
import { entriesDigest, type ImageRootfs, readRootfsFile, type WantedEntry } from './rootfs.js';

const NEW_FILE = { mode: 0o644, uid: 0, gid: 0, mtime: 0 };
const NEW_DIRECTORY = { ...NEW_FILE, mode: 0o755 };

/**
 * The rootfs with the files of a Clusterfile's Configs in the places of the image's. Of two for one path the later comes on top.
 * @throws SlipwayError E_CLUSTERFILE for a place where no file can be, and for what cannot be merged.
 */
export async function withConfigs(rootfs: ImageRootfs, configs: readonly ConfigSpec[]): Promise<ImageRootfs> {
  if (configs.length === 0) return rootfs;
  const entries = new Map(rootfs.entries.map((entry) => [entry.path, entry]));
  for (const config of configs) {
    const { path } = config;
    const there = entries.get(path);
    if (there !== undefined && there.type !== 'file') throw refused(path, `it is a ${there.type} in the image`);
    if (entries.has(`${path}.tmpl`)) {
      throw refused(
        path,
        `the image makes it from ${path}.tmpl for each host`,
        `name ${path}.tmpl in the Config instead`,
      );
    }
    for (const parent of parentsOf(path)) {
      const above = entries.get(parent);
      if (above === undefined) entries.set(parent, { ...NEW_DIRECTORY, path: parent, type: 'dir' });
      else if (above.type !== 'dir') throw refused(path, `${parent} is a ${above.type} in the image`);
    }
    const before = needsBefore(config)
      ? (await readRootfsFile([...entries.values()], path))?.toString('utf8')
      : undefined;
    const bytes = Buffer.from(configText(config, before));
    entries.set(path, {
      ...NEW_FILE,
      ...there,
      path,
      type: 'file',
      size: bytes.length,
      digest: digestOf(bytes),
      content: { bytes },
    });
  }
  const sorted: readonly WantedEntry[] = [...entries.values()].sort((a, b) => comparePaths(a.path, b.path));
  return { ...rootfs, entries: sorted, digest: entriesDigest(sorted) };
}

function parentsOf(path: string): readonly string[] {
  const parts = path.split('/');
  return parts.slice(1).map((_, index) => parts.slice(0, index + 1).join('/'));
}

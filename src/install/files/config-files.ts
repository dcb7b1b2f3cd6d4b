import { parseDocument, stringify } from 'yaml';
import { SlipwayError } from '../../base/errors.js';
import { digestOf } from '../../image/digest.js';
import { comparePaths } from '../../layers/toc.js';
import { isObject, mergeDocuments } from '../../runtime/kubeadm/merge.js';
import type { ConfigSpec } from '../spec/cluster-spec.js';
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
    const before =
      config.strategy === 'merge' ? (await readRootfsFile([...entries.values()], path))?.toString('utf8') : undefined;
    const bytes = Buffer.from(before === undefined ? config.data : merged(before, config));
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

function merged(before: string, { path, data }: ConfigSpec): string {
  const value = mergeDocuments(mapOf(before, path, 'what the image has there'), mapOf(data, path, 'its data'));
  return path.endsWith('.json') ? `${JSON.stringify(value, null, 2)}\n` : stringify(value);
}

function mapOf(text: string, path: string, what: string): Readonly<Record<string, unknown>> {
  const document = parseDocument(text, { prettyErrors: false });
  const [error] = document.errors;
  if (error !== undefined) throw refused(path, `${what} cannot be merged: ${error.message.split('\n', 1)[0]}`);
  const value: unknown = document.toJS() ?? {};
  if (!isObject(value)) throw refused(path, `${what} is no map, and cannot be merged`);
  return value;
}

function parentsOf(path: string): readonly string[] {
  const parts = path.split('/');
  return parts.slice(1).map((_, index) => parts.slice(0, index + 1).join('/'));
}

function refused(path: string, why: string, hint?: string): SlipwayError {
  return new SlipwayError('E_CLUSTERFILE', `Config for ${path}: ${why}`, hint === undefined ? {} : { hint });
}

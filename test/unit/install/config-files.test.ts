import { describe, expect, it } from 'vitest';
import { digestOf } from '../../../src/image/digest.js';
import { withConfigs } from '../../../src/install/files/config-files.js';
import {
  entriesDigest,
  type ImageRootfs,
  readRootfsFile,
  type WantedEntry,
} from '../../../src/install/files/rootfs.js';
import type { ConfigSpec } from '../../../src/install/spec/cluster-spec.js';

const attributes = { uid: 0, gid: 0, mtime: 5 };
const dir = (path: string): WantedEntry => ({ ...attributes, path, mode: 0o755, type: 'dir' });
function file(path: string, text: string, mode = 0o644): WantedEntry {
  const bytes = Buffer.from(text);
  return { ...attributes, path, mode, type: 'file', size: bytes.length, digest: digestOf(bytes), content: { bytes } };
}
const link = (path: string): WantedEntry => ({ ...attributes, path, mode: 0o777, type: 'symlink', linkTarget: '/etc' });

function rootfs(...entries: WantedEntry[]): ImageRootfs {
  return { entries, digest: entriesDigest(entries), skipped: [] };
}
const IMAGE = rootfs(
  dir('etc'),
  file('etc/a.yaml', 'a: 1\nb: { c: 2 }\n', 0o600),
  file('etc/b.json', '{"x": 1}'),
  file('etc/made.yaml.tmpl', '{{ .A }}'),
  file('etc/list.yaml', '- 1\n'),
  link('link'),
);
const config = (path: string, data: string, strategy: ConfigSpec['strategy'] = 'overwrite'): ConfigSpec => ({
  path,
  data,
  strategy,
});
async function textOf({ entries }: ImageRootfs, path: string): Promise<string | undefined> {
  return (await readRootfsFile(entries, path))?.toString('utf8');
}

describe('files of a Clusterfile', () => {
  it('take the places of those of the image, and keep their modes', async () => {
    const changed = await withConfigs(IMAGE, [config('etc/a.yaml', 'new: true\n')]);
    expect(await textOf(changed, 'etc/a.yaml')).toBe('new: true\n');
    expect(changed.entries.find(({ path }) => path === 'etc/a.yaml')).toMatchObject({ mode: 0o600, mtime: 5 });
    expect(changed.digest).not.toBe(IMAGE.digest);
    expect(await textOf(IMAGE, 'etc/a.yaml')).toContain('a: 1');
  });

  it('bring the directories that they need, in order', async () => {
    const changed = await withConfigs(IMAGE, [config('x/y/z', 'z'), config('a', 'a')]);
    expect(changed.entries.map(({ path, type }) => `${path} ${type}`)).toEqual([
      'a file',
      'etc dir',
      'etc/a.yaml file',
      'etc/b.json file',
      'etc/list.yaml file',
      'etc/made.yaml.tmpl file',
      'link symlink',
      'x dir',
      'x/y dir',
      'x/y/z file',
    ]);
  });

  it('are laid over those of the image, one over the other', async () => {
    const changed = await withConfigs(IMAGE, [
      config('etc/a.yaml', 'b: { d: 3 }\n', 'merge'),
      config('etc/a.yaml', 'a: null\n', 'merge'),
      config('etc/b.json', 'y: 2', 'merge'),
      config('etc/new.yaml', 'n: 1\n', 'merge'),
    ]);
    expect(await textOf(changed, 'etc/a.yaml')).toBe('b:\n  c: 2\n  d: 3\n');
    expect(JSON.parse((await textOf(changed, 'etc/b.json')) ?? '')).toEqual({ x: 1, y: 2 });
    expect(await textOf(changed, 'etc/new.yaml')).toBe('n: 1\n');
  });

  it('change nothing when there are none', async () => {
    expect(await withConfigs(IMAGE, [])).toBe(IMAGE);
  });

  it.each([
    ['a directory', config('etc', 'x'), 'Config for etc: it is a dir in the image'],
    ['a link', config('link', 'x'), 'Config for link: it is a symlink in the image'],
    ['something below a link', config('link/passwd', 'x'), 'Config for link/passwd: link is a symlink in the image'],
    [
      'something below a file',
      config('etc/a.yaml/b', 'x'),
      'Config for etc/a.yaml/b: etc/a.yaml is a file in the image',
    ],
    ['what a template makes', config('etc/made.yaml', 'x'), /the image makes it from etc\/made\.yaml\.tmpl/],
    ['a list that is merged', config('etc/list.yaml', 'a: 1', 'merge'), /what the image has there is no map/],
    ['a merge of a list', config('etc/a.yaml', '- 1', 'merge'), /its data is no map/],
    ['a merge of no YAML', config('etc/a.yaml', 'a: [', 'merge'), /its data cannot be merged: /],
  ])('are refused for %s', async (_, one, message) => {
    await expect(withConfigs(IMAGE, [one])).rejects.toMatchObject({
      code: 'E_CLUSTERFILE',
      message: typeof message === 'string' ? message : expect.stringMatching(message),
    });
  });
});

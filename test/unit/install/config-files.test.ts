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

describe('the data of a file is processed', () => {
  const made = async (
    data: string,
    process: ConfigSpec['process'],
    more: Partial<ConfigSpec> = {},
  ): Promise<string> => {
    const path = more.path ?? 'etc/new';
    return (
      (await textOf(await withConfigs(IMAGE_WITH_SECRET, [{ ...config(path, data), process, ...more }]), path)) ?? ''
    );
  };
  const IMAGE_WITH_SECRET = rootfs(
    ...IMAGE.entries,
    file('etc/secret.yaml', 'apiVersion: v1\nkind: Secret\nmetadata: { name: s }\ndata: { old: eA== }\n'),
    file('etc/map.yaml', 'kind: ConfigMap\n'),
    file(
      'etc/two.yaml',
      '# first\n---\nkind: ConfigMap\nmetadata: { name: a }\n---\nkind: ConfigMap\nmetadata: { name: b }\n',
    ),
  );
  const decoded = (text: string): string => Buffer.from(text, 'base64').toString();

  it.each([
    ['as a whole, as JSON', ['toJson'], 'b: 1\na: [x, { d: 1, c: 2 }]\n', '{"a":["x",{"c":2,"d":1}],"b":1}'],
    ['as a whole, in base64', ['toBase64'], 'a: 1\n', 'YTogMQo='],
    ['in two steps', ['toJson', 'toBase64'], 'a: 1\n', 'eyJhIjoxfQ=='],
    ['value by value, as JSON', ['value', 'toJson'], 'a: { c: 2, b: 1 }\nd: x\n', 'a: \'{"b":1,"c":2}\'\nd: \'"x"\'\n'],
    ['value by value, in base64', ['value', 'toBase64'], 'a: x\n', 'a: eA==\n'],
    ['not at all', ['value'], 'a: x\n', 'a: x\n'],
  ] as const)('%s', async (_, process, data, text) => {
    expect(await made(data, [...process])).toBe(text);
  });

  it('into a Secret that the image has, whose other values stay', async () => {
    const text = await made('config: { user: root }\n', ['value', 'toJson', 'toBase64', 'toSecret'], {
      path: 'etc/secret.yaml',
      name: 'c',
    });
    const config = /config: (\S+)/.exec(text)?.[1] ?? '';
    expect(text).toContain('name: s');
    expect(text).toContain('old: eA==');
    // as sealer does it: toBase64, and then as Secrets hold their values
    expect(decoded(decoded(config))).toBe('{"user":"root"}');
  });

  it('into a Secret of its own where the image has none', async () => {
    expect(await made('password: x\n', ['toSecret'], { name: 'db' })).toBe(
      'apiVersion: v1\nkind: Secret\nmetadata:\n  name: db\ntype: Opaque\ndata:\n  password: eA==\n',
    );
  });

  it('and laid over each document of a file', async () => {
    const text = await made('metadata: { namespace: n }\n', undefined, { path: 'etc/two.yaml', strategy: 'merge' });
    expect(text).toBe(
      'kind: ConfigMap\nmetadata:\n  name: a\n  namespace: n\n---\nkind: ConfigMap\nmetadata:\n  name: b\n  namespace: n\n',
    );
  });

  it.each([
    ['a number in base64', 'a: 1\n', ['value', 'toBase64'], {}, /its a is no text/],
    ['a map in a Secret', 'a: { b: c }\n', ['toSecret'], { name: 'db' }, /its a is no text/],
    ['a list value by value', '- a\n', ['value', 'toJson'], {}, /its data is no map, and cannot be processed/],
    ['no YAML as JSON', 'a: [', ['toJson'], {}, /its data cannot be made JSON: /],
    ['two documents as JSON', 'a: 1\n---\nb: 1\n', ['toJson'], {}, /its data has 2 YAML documents/],
    [
      'a Secret of no name',
      'a: b\n',
      ['toSecret'],
      { name: 'My Secret' },
      /its name "My Secret" cannot be that of a Secret/,
    ],
    [
      'another object as a Secret',
      'a: b\n',
      ['toSecret'],
      { path: 'etc/map.yaml' },
      /what the image has there is a ConfigMap, no Secret/,
    ],
  ] as const)('but not %s', async (_, data, process, more, message) => {
    await expect(made(data, [...process], more)).rejects.toMatchObject({
      code: 'E_CLUSTERFILE',
      message: expect.stringMatching(message),
    });
  });
});

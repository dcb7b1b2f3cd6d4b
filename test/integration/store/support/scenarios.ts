import { randomBytes } from 'node:crypto';
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import { Store } from '../../../../src/store/store.js';
import { mustSlipway } from '../../../support/slipway.js';
import { writeTree } from '../../../support/write-tree.js';
import type { DockerRegistry } from '../../registry/support/docker-registry.js';
import { must } from '../../registry/support/programs.js';

/** A command that changes a store, on a copy of a store in which it has everything to do. */
export interface Scenario {
  readonly name: string;
  readonly template: keyof Templates;
  /** What is done to the copy before. */
  readonly prepare?: (place: Place) => Promise<void>;
  readonly args: (place: Place) => readonly string[];
  readonly stdin?: string;
  readonly env?: (place: Place) => NodeJS.ProcessEnv;
  /** Names that the command brings or takes; all others stay as they are. */
  readonly changes?: RegExp;
  /** The template is damaged, and what cannot be mended stays so. */
  readonly damaged?: boolean;
  /** The exit code; default 0. */
  readonly code?: number;
  /** Proves that the command has done its work. */
  readonly done: (place: Place) => Promise<void>;
}

/** Where one run takes place. */
export interface Place {
  /** Unlike any other's. */
  readonly id: number;
  /** The store. */
  readonly root: string;
  /** For what the command writes outside of the store. */
  readonly out: string;
}

/** Directories with stores, made by {@link makeTemplates}. */
export interface Templates {
  /** An image built with RUN, its cache, a pulled image. */
  readonly basic: string;
  /** Much that a prune removes: images without a name, unpacked layers, a cache mount, the beginning of a download, damaged files set aside. */
  readonly littered: string;
  /** Blobs that are missing or spoilt, some to be had at the registry, a spoilt table, a spoilt unpacked layer, a spoilt record. */
  readonly damaged: string;
  /** Nothing at all. */
  readonly empty: string;
}

/** What the scenarios have in common. */
export interface Surroundings {
  readonly home: string;
  readonly registry: DockerRegistry;
  /** Asks for a password. */
  readonly closed: DockerRegistry;
}

const LAYER = 'FROM base:v1\nCOPY tree tree\nCOPY own d/copy\n';

export async function makeTemplates({ home, registry }: Surroundings): Promise<Templates> {
  const templates = {
    basic: join(home, 'templates/basic'),
    littered: join(home, 'templates/littered'),
    damaged: join(home, 'templates/damaged'),
    empty: join(home, 'templates/empty'),
  };
  const at = (name: string): string => `${registry.address}/${name}`;
  const tree = Object.fromEntries(Array.from({ length: 12 }, (_, n) => [`tree/${n % 3}/${n}`, `${n} `.repeat(50)]));
  const contexts = {
    base: 'FROM scratch\nCOPY tree tree\nRUN cp -r tree copy && rm -r tree/1 && ln copy/0/0 hard\n',
    copy: LAYER,
    run: 'FROM base:v1\nRUN --mount=type=cache,target=/c echo x > /c/x && mkdir n && cp tree/0/0 n/new && rm -r copy\n',
    images: `FROM scratch\nCOPY own own\nCOPY imageList manifests/\nBASE rootfs cache\n`,
    big: 'FROM scratch\nCOPY big big\nCOPY own own\n',
  };
  const files = { ...tree, own: 'own '.repeat(500), imageList: `${at('team/web:1')}\n${at('team/pause:3')}\n` };
  for (const [name, Kubefile] of Object.entries(contexts)) writeTree(join(home, name), { Kubefile, ...files });
  writeFileSync(join(home, 'big/big'), randomBytes(700_000));

  const other = join(home, 'other');
  for (const name of ['team/web:1', 'team/pause:3']) {
    const dir = writeTree(join(home, 'component'), { Dockerfile: 'FROM scratch\nCOPY p /p\nCMD ["/p"]\n', p: name });
    await mustSlipway(['build', '-q', '-f', join(dir, 'Dockerfile'), '-t', at(name), dir], { root: other });
    await mustSlipway(['push', '-q', at(name)], { root: other });
  }
  await mustSlipway(['build', '-q', '-t', at('k/big:v1'), join(home, 'big')], { root: other });
  await mustSlipway(['push', '-q', at('k/big:v1')], { root: other });
  await mustSlipway(['tag', at('k/big:v1'), 'loaded:v1'], { root: other });
  await mustSlipway(['tag', at('team/web:1'), 'loaded:v2'], { root: other });
  await mustSlipway(['save', '-o', join(home, 'loaded.tar'), 'loaded:v1', 'loaded:v2'], { root: other });
  await mustSlipway(['save', '--format', 'oci-dir', '-o', join(home, 'loaded'), 'loaded:v1'], { root: other });

  mkdirSync(templates.empty, { recursive: true });
  await mustSlipway(['build', '-q', '-t', 'base:v1', join(home, 'base')], { root: templates.basic });
  await mustSlipway(['pull', '-q', at('team/web:1')], { root: templates.basic });
  await copyTree(templates.basic, templates.littered);
  await litter(templates.littered, home);
  await copyTree(templates.basic, templates.damaged);
  await damage(templates.damaged, home, at('k/big:v1'));
  return templates;
}

export async function copyTree(from: string, to: string): Promise<void> {
  mkdirSync(join(to, '..'), { recursive: true });
  await must('cp', ['-a', from, to]);
}

async function litter(root: string, home: string): Promise<void> {
  for (const text of ['one', 'two']) {
    const run = `RUN --mount=type=cache,target=/c echo ${text} > /c/x && mkdir n && echo ${text} > n/new\n`;
    const dir = writeTree(join(home, 'littering'), { Kubefile: `${LAYER}${run}RUN rm -r copy\n`, own: text });
    cpSync(join(home, 'copy/tree'), join(dir, 'tree'), { recursive: true });
    await mustSlipway(['build', '-q', '-t', 'littered:v1', dir], { root });
  }
  await mustSlipway(['tag', 'littered:v1', 'littered:v2'], { root });
  // What was not used for long is what a plain prune takes.
  const old = Date.now() / 1000 - 30 * 86_400;
  for (const file of filesBelow(join(root, 'cache/build'))) utimesSync(file, old, old);
  writeTree(join(root, `tmp/partial-${'a'.repeat(64)}`), { content: 'x'.repeat(1000), lock: '' });
  writeTree(join(root, 'damaged'), { ['b'.repeat(64)]: 'x'.repeat(1000) });
}

async function damage(root: string, home: string, pulled: string): Promise<void> {
  await mustSlipway(['pull', '-q', pulled], { root });
  await mustSlipway(['build', '-q', '-t', 'copy:v1', join(home, 'copy')], { root });
  const store = await Store.open(root);
  const hexOf = (digest: string): string => digest.slice('sha256:'.length);
  const layersOf = async (name: string) => {
    const manifest = JSON.parse(readFileSync(store.blobPath((await store.resolve(name))?.digest as never), 'utf8'));
    const config = JSON.parse(readFileSync(store.blobPath(manifest.config.digest), 'utf8'));
    return { layers: manifest.layers as { digest: never }[], diffIds: config.rootfs.diff_ids as string[] };
  };
  const there = await layersOf(pulled);
  const [big, small] = there.layers;
  rmSync(store.blobPath(big?.digest as never));
  flip(store.blobPath(small?.digest as never));
  const own = await layersOf('copy:v1');
  flip(store.blobPath(own.layers.at(-1)?.digest as never)); // nobody else has it
  const [first = '', second = ''] = own.diffIds.map(hexOf);
  flip(join(root, 'tocs', `${second}.json.gz`));
  rmSync(join(root, 'data/overlay2', first, 'diff/tree/0/0'));
  const [record = ''] = filesBelow(join(root, 'cache/build'));
  writeFileSync(record, '{');
  await store.close();
}

/** One byte becomes another. */
function flip(file: string): void {
  const bytes = readFileSync(file);
  const middle = bytes.length >> 1;
  bytes[middle] = (bytes[middle] ?? 0) ^ 0xff;
  writeFileSync(file, bytes);
}

function filesBelow(dir: string): string[] {
  return readdirSync(dir, { recursive: true, encoding: 'utf8' })
    .map((name) => join(dir, name))
    .filter((file) => statSync(file).isFile())
    .sort();
}

async function namesIn(root: string): Promise<readonly string[]> {
  const store = await Store.open(root);
  try {
    return (await store.images()).map(({ name }) => name);
  } finally {
    await store.close();
  }
}

/** Every command that changes a store, and what else writes what must stay whole. */
export function scenarios({ home, registry, closed }: Surroundings): readonly Scenario[] {
  const at = (name: string): string => `${registry.address}/${name}`;
  const has = async ({ root }: Place, ...names: string[]): Promise<void> =>
    expect(await namesIn(root)).toEqual(expect.arrayContaining(names));
  const lacks = async ({ root }: Place, ...names: string[]): Promise<void> => {
    const found = await namesIn(root);
    for (const name of names) expect(found).not.toContain(name);
  };
  const build = (name: string, context: string, ...flags: string[]): Scenario => ({
    name,
    template: 'basic',
    args: () => ['build', '-t', 'built:v1', '-t', 'built:v2', ...flags, join(home, context)],
    changes: /^built:/,
    done: (place) => has(place, 'built:v1', 'built:v2'),
  });
  const prune = (...flags: string[]): Scenario => ({
    name: ['prune', ...flags].join(' '),
    template: 'littered',
    args: () => ['prune', ...flags],
    changes: flags[0] === '--all' ? /./ : /^$/,
    done: async ({ root }) => {
      const again = JSON.parse(await mustSlipway(['prune', ...flags, '--json'], { root }));
      expect(again).toMatchObject({ images: [], blobs: 0, layers: 0, cacheRecords: 0 });
    },
  });
  const save = (format: string): Scenario => ({
    name: `save --format ${format}`,
    template: 'basic',
    args: ({ out }) => ['save', '--format', format, '-o', join(out, 'saved'), 'base:v1', at('team/web:1')],
    done: async ({ out, root }) => {
      await mustSlipway(['load', '-i', join(out, 'saved')], { root: `${root}-loaded` });
      expect(readdirSync(out)).toEqual(['saved']);
    },
  });
  return [
    { ...build('build in a new store', 'big'), template: 'empty' },
    build('build with COPY', 'copy'),
    build('build with RUN', 'run'),
    build('build with BASE', 'images'),
    build('build for two platforms', 'big', '--platform', 'linux/amd64,linux/arm64'),
    {
      name: 'pull',
      template: 'basic',
      args: () => ['pull', at('k/big:v1')],
      changes: /\/k\/big:v1$/,
      done: (place) => has(place, at('k/big:v1')),
    },
    {
      name: 'load',
      template: 'basic',
      args: () => ['load', '-i', join(home, 'loaded.tar')],
      changes: /^loaded:/,
      done: (place) => has(place, 'loaded:v1', 'loaded:v2'),
    },
    {
      name: 'load of a directory',
      template: 'basic',
      args: () => ['load', '-i', join(home, 'loaded')],
      changes: /^loaded:/,
      done: (place) => has(place, 'loaded:v1'),
    },
    {
      name: 'push',
      template: 'basic',
      args: ({ id }) => ['push', 'base:v1', at(`pushed-${id}/base:v1`)],
      done: ({ id, root }) =>
        mustSlipway(['pull', '-q', at(`pushed-${id}/base:v1`)], { root: `${root}-pulled` }).then(() => {}),
    },
    {
      name: 'tag',
      template: 'basic',
      args: () => ['tag', 'base:v1', 'other:v1'],
      changes: /^other:v1$/,
      done: (place) => has(place, 'other:v1', 'base:v1'),
    },
    {
      name: 'merge',
      template: 'basic',
      args: () => ['merge', '--force', '-t', 'merged:v1', 'base:v1', at('team/web:1')],
      changes: /^merged:v1$/,
      done: (place) => has(place, 'merged:v1'),
    },
    {
      name: 'rmi',
      template: 'littered',
      args: () => ['rmi', '-f', 'littered:v1', 'littered:v2', at('team/web:1')],
      changes: /./,
      done: (place) => lacks(place, 'littered:v1', 'littered:v2', at('team/web:1')),
    },
    prune(),
    prune('--build-cache'),
    prune('--keep-storage', '1B'),
    prune('--all', '--filter', 'label!=keep'),
    prune('--all'),
    {
      name: 'store check --repair',
      template: 'damaged',
      args: () => ['store', 'check', '--repair', '--content'],
      damaged: true,
      code: 1,
      changes: /^again:v1$/,
      done: async ({ root }) => {
        expect(existsSync(join(root, 'damaged'))).toBe(true);
        // Built anew, what could not be fetched is there again.
        await mustSlipway(['build', '-q', '-t', 'again:v1', join(home, 'copy')], { root });
        await mustSlipway(['store', 'check', '--content'], { root });
      },
    },
    {
      name: 'store check --repair of the index',
      template: 'basic',
      prepare: async ({ root }) => {
        const file = join(root, 'index.json');
        writeFileSync(file, readFileSync(file, 'utf8').replace('"size":', '"size":-'));
      },
      args: () => ['store', 'check', '--repair'],
      damaged: true,
      changes: /^recovered:/,
      done: async ({ root }) => {
        await mustSlipway(['store', 'check'], { root });
      },
    },
    {
      name: 'mount',
      template: 'basic',
      args: () => ['mount', 'base:v1'],
      done: async ({ root }) => {
        const dir = (await mustSlipway(['mount', 'base:v1'], { root })).trim();
        expect(readFileSync(join(dir, 'copy/0/0'), 'utf8')).toContain('0 0');
        await mustSlipway(['umount', '--all'], { root });
        expect(readdirSync(join(root, 'data/mounts'))).toEqual([]);
      },
    },
    {
      name: 'umount',
      template: 'basic',
      prepare: async ({ root }) => {
        await mustSlipway(['mount', 'base:v1'], { root });
      },
      args: () => ['umount', '--all'],
      done: async ({ root }) => {
        expect(readdirSync(join(root, 'data/mounts'))).toEqual([]);
      },
    },
    save('oci-archive'),
    save('docker-archive'),
    save('oci-dir'),
    {
      name: 'login',
      template: 'empty',
      prepare: async ({ out }) => {
        writeFileSync(join(out, 'config.json'), '{"auths":{"other.example":{"auth":"YTpi"}},"own":1}');
      },
      args: () => ['login', '-u', 'ann', '--password-stdin', closed.address],
      stdin: 'secret',
      env: ({ out }) => ({ DOCKER_CONFIG: out }),
      done: async ({ out }) => {
        const file = JSON.parse(readFileSync(join(out, 'config.json'), 'utf8'));
        expect(file).toMatchObject({ own: 1, auths: { 'other.example': { auth: 'YTpi' }, [closed.address]: {} } });
        expect(readdirSync(out)).toEqual(['config.json']);
      },
    },
  ];
}

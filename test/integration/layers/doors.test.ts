import { lstatSync, readFileSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { MEDIA } from '../../../src/image/media-types.js';
import { imageFile } from '../../support/image-tree.js';
import { type Ended, slipway } from '../../support/slipway.js';
import { tempDirectory } from '../../support/temp.js';
import { writeTree } from '../../support/write-tree.js';
import { type RawMember, rawTar } from '../../unit/layers/raw-tar.js';
import { type DockerRegistry, startDockerRegistry } from '../registry/support/docker-registry.js';
import { ARCHIVES, type Door, type HostileArchive, type Verdict } from './doors/archives.js';
import { DOCUMENTS } from './doors/documents.js';
import { digestOf, gzipLayer, type HostileImage, imageOf, pushByHand, writeLayout } from './doors/layout.js';
import { type Answer, hostileRegistry } from './doors/registry.js';
import { snapshot } from './trees.js';

// What a stranger made, through every door by which it can come in. The table at the end says what became of it.

const home = tempDirectory();
const canary = join(home, 'canary');
const DOORS: readonly Door[] = ['load', 'pull', 'mount', 'run', 'copy'];
const table: string[][] = [];
let registry: DockerRegistry;

beforeAll(async () => {
  writeTree(home, {
    'canary/secret': 'secret',
    'canary/dir/file': 'x',
    'process/beside-the-process': 'x',
    'run/Kubefile': '# dialect=docker\nFROM hostile:v1\nCOPY Kubefile /copied\nRUN true\n',
    'copy/Kubefile': '# dialect=docker\nFROM scratch\nCOPY --from=hostile:v1 / /\n',
  });
  symlinkSync('secret', join(canary, 'link'));
  registry = await startDockerRegistry();
});

afterAll(async () => {
  await registry.close();
  const head = ['case', 'load', 'pull', 'mount', 'build RUN', 'COPY --from'];
  const widths = head.map((_, column) => Math.max(...[head, ...table].map((cells) => cells[column]?.length ?? 0)));
  const lines = [head, ...table].map((cells) =>
    cells.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  '),
  );
  process.stdout.write(`\n${lines.join('\n')}\n\n`);
});

describe('a hostile image', () => {
  it.each(ARCHIVES.map((archive, index) => ({ ...archive, index })))('$name', async (archive) => {
    const { name, index, arrives, unpacks, copies = arrives, doors = DOORS } = archive;
    const image = imageOf(archive.layers(canary));
    const before = canaries();
    const ways: Record<Door, () => Promise<Verdict>> = {
      load: () => load(storeOf(index, image), index),
      pull: () => pull(image, index),
      mount: () => mount(storeOf(`${index}-mount`, image), archive),
      run: () => build(storeOf(`${index}-run`, image), 'run'),
      copy: () => build(storeOf(`${index}-copy`, image), 'copy'),
    };
    const verdicts: Partial<Record<Door, Verdict>> = {};
    for (const door of doors) verdicts[door] = await ways[door]();
    table.push([name, ...DOORS.map((door) => verdicts[door] ?? '')]);
    expect(canaries()).toEqual(before);
    const expected: Record<Door, Verdict> = {
      load: arrives,
      pull: arrives,
      mount: unpacks,
      run: unpacks,
      copy: copies,
    };
    expect(verdicts).toEqual(Object.fromEntries(doors.map((door) => [door, expected[door]])));
  });
});

describe('a hostile document', () => {
  it.each(DOCUMENTS.map((document, index) => ({ ...document, index: `document-${index}` })))(
    '$name',
    async ({ name, index, image, answers = new Map(), verdicts }) => {
      const before = canaries();
      const said = new Map<string, Answer>([
        ['manifests/v1', { type: MEDIA.manifest, body: image.manifest }],
        [`manifests/${digestOf(image.manifest)}`, { type: MEDIA.manifest, body: image.manifest }],
        ...[...image.blobs].map(([digest, body]): [string, Answer] => [`blobs/${digest}`, { body }]),
        ...answers,
      ]);
      const hostile = await hostileRegistry(
        new Map([...said].map(([path, answer]) => [`/v2/hostile/${path}`, answer])),
      );
      try {
        const ways: Record<Door, () => Promise<Verdict>> = {
          load: () => load(storeOf(index, image), index),
          pull: () => pullFrom(`${hostile.address}/hostile:v1`, index),
          mount: () => mount(storeOf(`${index}-mount`, image), {}),
          run: () => build(storeOf(`${index}-run`, image), 'run'),
          copy: () => build(storeOf(`${index}-copy`, image), 'copy'),
        };
        const found: Partial<Record<Door, Verdict>> = {};
        for (const door of DOORS) if (verdicts[door] !== undefined) found[door] = await ways[door]();
        table.push([name, ...DOORS.map((door) => found[door] ?? '')]);
        expect(canaries()).toEqual(before);
        expect(found).toEqual(verdicts);
        // More than the limits and what is on its way between the two.
        expect(hostile.taken()).toBeLessThan(32 * 1024 * 1024);
      } finally {
        await hostile.close();
      }
    },
  );

  it('a layer with a URL elsewhere gets no credentials (CVE-2020-15157)', async () => {
    const elsewhere = await hostileRegistry(new Map());
    const layer = gzipLayer(rawTar({ name: 'a', content: 'a' }));
    const image = imageOf([layer], (manifest) => ({
      ...manifest,
      layers: (manifest.layers as object[]).map((one) => ({ ...one, urls: [`http://${elsewhere.address}/layer`] })),
    }));
    const { blobs, manifest } = image;
    const answers = new Map<string, Answer>();
    for (const reference of ['v1', digestOf(manifest)])
      answers.set(`/v2/hostile/manifests/${reference}`, { type: MEDIA.manifest, body: manifest });
    for (const [digest, body] of blobs) if (body !== layer.blob) answers.set(`/v2/hostile/blobs/${digest}`, { body });
    const hostile = await hostileRegistry(answers, 'password');
    try {
      const args = ['pull', '--json', '--username', 'me', '--password-stdin', `${hostile.address}/hostile:v1`];
      const ended = await slipway(args, { root: join(home, 'foreign'), stdin: 'hush', cwd: join(home, 'process') });
      expect(hostile.requests.some(({ authorization }) => authorization?.startsWith('Basic ') === true)).toBe(true);
      expect(hostile.requests.map(({ what }) => what)).toContain(`GET /v2/hostile/blobs/${digestOf(layer.blob)}`);
      table.push(['a layer with a URL elsewhere (CVE-2020-15157)', '', verdictOf(ended), '', '', '']);
      expect(verdictOf(ended)).toBe('E_NOT_FOUND');
      expect(elsewhere.requests).toEqual([]);
    } finally {
      await hostile.close();
      await elsewhere.close();
    }
  });
});

describe('a hostile build', () => {
  /** An image with a shell: what is to be deceived may be in it. */
  function shellImage(...more: RawMember[]): HostileImage {
    const busybox = readFileSync('/bin/busybox');
    const links = ['sh', 'mv', 'ln', 'mkdir', 'cat'].map(
      (name): RawMember => ({ name: `bin/${name}`, type: '2', link: 'busybox' }),
    );
    return imageOf([gzipLayer(rawTar({ name: 'bin/busybox', content: busybox, mode: 0o755 }, ...links, ...more))]);
  }

  async function run(name: string, image: HostileImage, lines: string, ...flags: string[]): Promise<string> {
    const context = writeTree(join(home, `build-${table.length}`), {
      Kubefile: `# dialect=docker\nFROM hostile:v1\n${lines}`,
    });
    const root = storeOf(`build-${table.length}-store`, image);
    const before = canaries();
    const ended = await call(['build', '-t', 'built:v1', ...flags, context], root);
    table.push([name, '', '', '', verdictOf(ended), '']);
    expect(canaries()).toEqual(before);
    expect(verdictOf(ended)).toBe('harmless');
    return root;
  }

  it('with a cache whose id is a path (CVE-2024-9675)', async () => {
    const id = `../../../../../../../..${canary}`;
    const lines = `RUN --mount=type=cache,id=${id},target=/c echo x >/c/escaped\n`;
    await run('a cache mount whose id is a path (CVE-2024-9675)', shellImage(), lines, '--isolation', 'container');
  });

  it('that swaps the directory of a mount point for a link (CVE-2024-23652)', async () => {
    const lines = `RUN --mount=type=secret,id=token,target=/run/dir/file mv /run /moved && ln -s ${canary} /run\n`;
    const secret = ['--secret', `id=token,src=${join(home, 'process/beside-the-process')}`];
    const name = 'a mount point that is swapped for a link (CVE-2024-23652)';
    await run(name, shellImage(), lines, '--isolation', 'container', ...secret);
  });

  it('with an image that looks like the next step of another one (CVE-2024-24557)', async () => {
    const base = shellImage();
    const lines = 'RUN echo good >/f\n';
    const first = await run(
      'an image that looks like a cached step (CVE-2024-24557)',
      base,
      lines,
      '--isolation',
      'container',
    );
    expect(await imageFile(first, 'built:v1', 'f')).toBe('good\n');
    // What was built with another layer in the place of its last one, loaded into a store that has built nothing yet.
    const json = (file: string) => JSON.parse(readFileSync(file, 'utf8'));
    const blob = (digest: string) => join(first, 'blobs/sha256', digest.slice('sha256:'.length));
    const index = json(join(first, 'index.json'));
    const built = index.manifests.find((one: { annotations: object }) =>
      Object.values(one.annotations).includes('built:v1'),
    );
    const { history } = json(blob(json(blob(built.digest)).config.digest));
    const evil = gzipLayer(rawTar({ name: 'f', content: 'evil\n' }));
    const shell = gzipLayer(gunzipSync([...base.blobs.values()].at(-1) ?? Buffer.alloc(0)));
    const poison = imageOf([shell, evil], undefined, history);
    const root = storeOf('poisoned', base);
    writeLayout(join(home, 'poison'), poison, 'built:v1');
    expect(await call(['load', '-i', join(home, 'poison')], root)).toMatchObject({ code: 0 });
    expect(await imageFile(root, 'built:v1', 'f')).toBe('evil\n');
    const context = writeTree(join(home, 'rebuild'), { Kubefile: `# dialect=docker\nFROM hostile:v1\n${lines}` });
    expect(await call(['build', '--isolation', 'container', '-t', 'again:v1', context], root)).toMatchObject({
      code: 0,
    });
    expect(await imageFile(root, 'again:v1', 'f')).toBe('good\n');
  });
});

/** A store that holds the image by no door of ours: it is as if an older version had let it in. */
function storeOf(key: string | number, image: HostileImage): string {
  const root = join(home, `store-${key}`);
  writeLayout(root, image, 'hostile:v1');
  return root;
}

/** From the layout, which is what an archive has inside. */
async function load(layout: string, index: number | string): Promise<Verdict> {
  return verdictOf(await call(['load', '-i', layout], join(home, `load-${index}`)));
}

async function pull(image: HostileImage, index: number): Promise<Verdict> {
  await pushByHand(registry.address, image, `hostile-${index}`);
  return pullFrom(`${registry.address}/hostile-${index}:v1`, index);
}

async function pullFrom(name: string, index: number | string): Promise<Verdict> {
  return verdictOf(await call(['pull', name], join(home, `pull-${index}`)));
}

async function mount(root: string, { tree }: Pick<HostileArchive, 'tree'>): Promise<Verdict> {
  const place = `${root}-mounted`;
  const verdict = verdictOf(await call(['mount', 'hostile:v1', place], root));
  if (verdict !== 'harmless') return verdict;
  try {
    if (tree !== undefined) expect(treeOf(place)).toEqual(tree);
  } finally {
    expect(await call(['umount', place], root)).toMatchObject({ code: 0 });
  }
  return verdict;
}

async function build(root: string, context: 'run' | 'copy'): Promise<Verdict> {
  return verdictOf(await call(['build', '--isolation', 'host', '-t', 'built:v1', join(home, context)], root));
}

function call(args: readonly string[], root: string): Promise<Ended> {
  return slipway([...args, '--json'], { root, cwd: join(home, 'process') });
}

function verdictOf({ code, stderr }: Ended): Verdict {
  if (code === 0) return 'harmless';
  const [, said = `exit ${code}: ${stderr}`] = /"error":\{"code":"(E_\w+)"/.exec(stderr) ?? [];
  return said as Verdict;
}

/** Everything of the canary, the process's directory and the contexts, names and times too. */
function canaries(): unknown {
  const links = ['canary/secret', 'process/beside-the-process'].map((file) => lstatSync(join(home, file)).nlink);
  return [links, ...['canary', 'process', 'run', 'copy'].map((name) => snapshot(join(home, name)))];
}

function treeOf(root: string): string[] {
  const inside = Buffer.from(canary.slice(1)).toString('latin1');
  return snapshot(root)
    .filter(({ path, kind }) => !(kind === 'dir' && `${inside}/`.startsWith(`${path}/`)))
    .map(({ path, kind, link }) => {
      const shown = path.startsWith(`${inside}/`) ? `CANARY${path.slice(inside.length)}` : path;
      return kind === 'dir'
        ? `${shown}/`
        : kind === 'symlink'
          ? `${shown} -> ${link?.replace(canary, 'CANARY')}`
          : shown;
    })
    .sort();
}

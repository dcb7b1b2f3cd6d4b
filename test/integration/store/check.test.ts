import {
  chmodSync,
  existsSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { CheckReport, Damage } from '../../../src/store/check/report.js';
import { mustSlipway, slipway } from '../../support/slipway.js';
import { tempDirectory } from '../../support/temp.js';
import { writeTree } from '../../support/write-tree.js';
import { type DockerRegistry, startDockerRegistry } from '../registry/support/docker-registry.js';
import { must } from '../registry/support/programs.js';

const home = tempDirectory();
const origin = join(home, 'origin');
/** Made anew for each test from {@link origin}. */
let root = '';
let registry: DockerRegistry;
let count = 0;
let pulled = '';

interface Parts {
  readonly manifest: string;
  readonly config: string;
  readonly layers: readonly string[];
  readonly diffIds: readonly string[];
}

const hex = (digest: string): string => digest.replace('sha256:', '');
const blob = (digest: string): string => join(root, 'blobs/sha256', hex(digest));

function partsOf(name: string): Parts {
  const index = JSON.parse(readFileSync(join(root, 'index.json'), 'utf8'));
  const manifest = index.manifests.find(
    (entry: { annotations: Record<string, string> }) => entry.annotations['org.opencontainers.image.ref.name'] === name,
  ).digest;
  const { config, layers } = JSON.parse(readFileSync(blob(manifest), 'utf8'));
  const { rootfs } = JSON.parse(readFileSync(blob(config.digest), 'utf8'));
  return {
    manifest,
    config: config.digest,
    layers: layers.map((layer: { digest: string }) => layer.digest),
    diffIds: rootfs.diff_ids,
  };
}

async function check(...flags: string[]): Promise<{ code: number | null; report: CheckReport; stderr: string }> {
  const { code, stdout, stderr } = await slipway(['store', 'check', '--json', ...flags], { root });
  if (stdout === '') throw new Error(stderr);
  return { code, report: JSON.parse(stdout), stderr };
}

const brief = ({ damaged }: CheckReport) => damaged.map(({ kind, id }: Damage) => `${kind} ${id}`);

/** One byte of a file becomes another; its time stays. */
function flip(file: string, at = -1): void {
  const bytes = readFileSync(file);
  const { atime, mtime } = statSync(file);
  const position = at < 0 ? Math.floor(bytes.length / 2) : at;
  bytes[position] = (bytes[position] ?? 0) ^ 0xff;
  writeFileSync(file, bytes);
  utimesSync(file, atime, mtime);
}

function relink(file: string): void {
  rmSync(file);
  symlinkSync('x', file);
}

beforeAll(async () => {
  registry = await startDockerRegistry();
  root = origin;
  const files = Object.fromEntries(Array.from({ length: 40 }, (_, n) => [`tree/${n}`, `content ${n} `.repeat(99)]));
  const base = writeTree(join(home, 'base'), { Kubefile: 'FROM scratch\nCOPY tree tree\nCMD ["x"]\n', ...files });
  pulled = `${registry.address}/k8s/base:v1`;
  const other = join(home, 'other-store');
  await mustSlipway(['build', '-q', '-t', pulled, base], { root: other });
  await mustSlipway(['push', '-q', pulled], { root: other });
  await mustSlipway(['pull', '-q', pulled], { root });
  const run = 'RUN rm tree/1 && mkdir -p d/e && chmod 2750 d && ln tree/2 d/hard && ln -s e d/link && echo x > d/e/f';
  const own = writeTree(join(home, 'own'), {
    Kubefile: `FROM ${pulled}\n${run}\nRUN rm -r d && mkdir d && echo y > d/new\n`,
  });
  await mustSlipway(['build', '-q', '-t', 'own:v1', own], { root });
}, 120_000);
afterAll(() => registry.close());

beforeEach(async () => {
  root = join(home, `store-${count++}`);
  await must('cp', ['-a', origin, root]);
});

describe('a store that is whole', () => {
  it('is found so, with every file hashed too', async () => {
    const { code, report } = await check('--content');
    expect({ code, damaged: report.damaged }).toEqual({ code: 0, damaged: [] });
    expect(report.checked).toMatchObject({ images: 2, tocs: 3 });
    expect(report.checked.cacheRecords).toBeGreaterThanOrEqual(2);
    expect(report.checked.unpackedLayers).toBeGreaterThanOrEqual(2);
    const text = await mustSlipway(['store', 'check'], { root });
    expect(text).toMatch(/^Checked 2 images, \d+ blobs .*: all is well\n$/);
  });

  it('may hold what killed commands left, blobs without use and strangers: they are told, and are no damage', async () => {
    writeTree(join(root, 'tmp/0123456789abcdef'), { '0-blob': 'x'.repeat(5000), lock: '' });
    const loose = await must('sh', ['-c', 'printf loose | sha256sum | cut -c1-64']);
    writeFileSync(blob(loose.trim()), 'loose');
    writeFileSync(join(root, 'blobs/sha256/README'), 'hello');
    const { code, report } = await check();
    expect(code).toBe(0);
    expect(report).toMatchObject({
      unreferenced: { blobs: 1, bytes: 5 },
      leftovers: { entries: 1 },
      strangers: ['blobs/sha256/README'],
    });
  });
});

describe('damage', () => {
  it.each(['a byte has flipped', 'it was cut short', 'it is missing', 'it is longer'])(
    'of a layer: %s',
    async (how) => {
      const { layers } = partsOf('own:v1');
      const [base = ''] = layers;
      if (how.includes('flipped')) flip(blob(base));
      else if (how.includes('short')) truncateSync(blob(base), 100);
      else if (how.includes('missing')) rmSync(blob(base));
      else writeFileSync(blob(base), Buffer.concat([readFileSync(blob(base)), Buffer.from('more')]));
      const { code, report } = await check();
      expect(code).toBe(1);
      expect(report.damaged[0]).toMatchObject({ kind: 'blob', id: base, images: [pulled, 'own:v1'].sort() });
      expect(report.damaged[0]?.next).toContain(`fetches it from ${registry.address}/k8s/base`);
    },
  );

  it('of a manifest and of a config names the image', async () => {
    flip(blob(partsOf('own:v1').config));
    const config = (await check()).report;
    expect(config.damaged).toMatchObject([{ kind: 'blob', images: ['own:v1'] }]);
    rmSync(blob(partsOf(pulled).manifest));
    expect((await check()).report.damaged).toContainEqual(
      expect.objectContaining({ images: [pulled], problem: 'is missing' }),
    );
  });

  it('of documents that have the right digest and contradict each other', async () => {
    const parts = partsOf('own:v1');
    const config = JSON.parse(readFileSync(blob(parts.config), 'utf8'));
    config.rootfs.diff_ids[0] = `sha256:${'0'.repeat(64)}`;
    const lie = JSON.stringify(config);
    const digest = (await must('sha256sum', [], { input: lie })).slice(0, 64);
    writeFileSync(blob(digest), lie);
    const manifest = JSON.parse(readFileSync(blob(parts.manifest), 'utf8'));
    manifest.config = { ...manifest.config, digest: `sha256:${digest}`, size: lie.length };
    manifest.layers[1].size += 1;
    const text = JSON.stringify(manifest);
    const id = (await must('sha256sum', [], { input: text })).slice(0, 64);
    writeFileSync(blob(id), text);
    const file = join(root, 'index.json');
    const index = JSON.parse(readFileSync(file, 'utf8'));
    const entry = index.manifests.find((image: { annotations: Record<string, string> }) =>
      Object.values(image.annotations).includes('own:v1'),
    );
    Object.assign(entry, { digest: `sha256:${id}`, size: text.length });
    writeFileSync(file, JSON.stringify(index));
    const { code, report } = await check();
    expect(code).toBe(1);
    const problems = report.damaged.map(({ kind, problem }) => `${kind} ${problem}`).join('\n');
    expect(problems).toMatch(/image has a layer sha256:\w+ that unpacks to sha256:\w+, its config says sha256:0000/);
    expect(problems).toMatch(/image says that blob sha256:\w+ has \d+ bytes, it has \d+/);
  });

  it('of a table of contents: unreadable, or about something else', async () => {
    const [first = '', second = ''] = partsOf('own:v1').diffIds;
    truncateSync(join(root, 'tocs', `${hex(first)}.json.gz`), 30);
    const { gzipSync, gunzipSync } = await import('node:zlib');
    const file = join(root, 'tocs', `${hex(second)}.json.gz`);
    writeFileSync(file, gzipSync(gunzipSync(readFileSync(file)).toString().replace('"d/e/f"', '"d/e/g"')));
    const { code, report } = await check();
    expect(code).toBe(1);
    expect(brief(report).sort()).toEqual([`toc ${first}`, `toc ${second}`].sort());
  });

  it.each<[string, (dir: string) => void, RegExp, string[]]>([
    ['a mode', (dir) => chmodSync(join(dir, 'tree/3'), 0o666), /"tree\/3": its mode is 0666, in the layer 0644/, []],
    ['a size', (dir) => truncateSync(join(dir, 'tree/3'), 7), /"tree\/3": it has 7 bytes/, []],
    ['a file that is gone', (dir) => rmSync(join(dir, 'tree/3')), /"tree\/3" is missing/, []],
    ['a file too many', (dir) => writeFileSync(join(dir, 'tree/new'), ''), /"tree\/new" is not in the layer/, []],
    ['a type', (dir) => relink(join(dir, 'tree/3')), /it is a symlink/, []],
    ['content', (dir) => flip(join(dir, 'tree/3')), /"tree\/3": its content has the digest/, ['--content']],
  ])('of an unpacked layer: %s', async (_, damage, problem, flags) => {
    const [first = ''] = partsOf('own:v1').diffIds;
    damage(join(root, 'data/overlay2', hex(first), 'diff'));
    const { code, report } = await check(...flags);
    expect(code).toBe(1);
    expect(report.damaged).toMatchObject([{ kind: 'unpacked-layer', id: first, images: [pulled, 'own:v1'].sort() }]);
    expect(report.damaged[0]?.problem).toMatch(problem);
    const repaired = await check('--repair', ...flags);
    expect(repaired).toMatchObject({
      code: 0,
      report: { damaged: [], mended: [{ kind: 'unpacked-layer', id: first }] },
    });
    expect(await mustSlipway(['inspect', 'own:v1', '--rootfs'], { root })).toContain('tree/3');
  });

  it('of a record of the build cache', async () => {
    const records = readdirSync(join(root, 'cache/build'), { recursive: true, encoding: 'utf8' }).filter((name) =>
      name.endsWith('.json'),
    );
    const [first = ''] = records;
    truncateSync(join(root, 'cache/build', first), 20);
    const { code, report } = await check();
    expect(code).toBe(1);
    expect(brief(report)).toEqual([`cache-record cache/build/${first}`]);
    expect((await check('--repair')).report.damaged).toEqual([]);
    expect(existsSync(join(root, 'cache/build', first))).toBe(false);
  });
});

describe('a repair', () => {
  it('fetches what came from a registry: layer, config, manifest, all at once', async () => {
    const { manifest, config, layers } = partsOf(pulled);
    const [layer = ''] = layers;
    flip(blob(layer));
    rmSync(blob(config));
    flip(blob(manifest), 0);
    const { code, report } = await check('--repair');
    expect({ code, damaged: report.damaged }).toEqual({ code: 0, damaged: [] });
    expect(report.mended.map(({ id }) => id)).toEqual(expect.arrayContaining([layer, config, manifest]));
    expect((await check('--content')).code).toBe(0);
    expect(existsSync(join(root, 'damaged'))).toBe(false);
  });

  it('sets aside what it cannot fetch, untags nothing, and says what to do; a build then brings it back', async () => {
    const { layers } = partsOf('own:v1');
    const lost = layers[1] ?? '';
    flip(blob(lost));
    const { code, report } = await check('--repair');
    expect(code).toBe(1);
    expect(report.damaged).toMatchObject([{ kind: 'blob', id: lost, images: ['own:v1'] }]);
    expect(report.damaged[0]?.next).toMatch(/cannot be fetched .*: pull, load or build own:v1 again, or remove it/);
    expect(report.mended).toContainEqual(
      expect.objectContaining({ id: lost, action: expect.stringContaining('set aside as') }),
    );
    expect(existsSync(join(root, 'damaged', hex(lost)))).toBe(true);
    expect(await mustSlipway(['images', '-q'], { root })).toContain(partsOf('own:v1').manifest);
    await mustSlipway(['build', '-q', '-t', 'own:v1', join(home, 'own')], { root });
    expect((await check()).report.damaged).toEqual([]);
    await mustSlipway(['prune'], { root });
    expect(existsSync(join(root, 'damaged'))).toBe(false);
  });

  it('reaches a registry that is gone: the damage stays, with the reason', async () => {
    const gone = join(home, `store-${count++}`);
    await must('cp', ['-a', root, gone]);
    root = gone;
    const sources = join(root, 'cache/sources');
    for (const file of readdirSync(sources))
      writeFileSync(join(sources, file), '{"host":"127.0.0.1:1","repository":"k8s/base"}\n');
    const [layer = ''] = partsOf('own:v1').layers;
    renameSync(blob(layer), join(home, `layer-${count}`));
    // The image is named for a registry that has it, so only a name of our own is left to be asked.
    await mustSlipway(['rmi', pulled], { root }).catch(() => {});
    const { code, report } = await check('--repair');
    expect(code).toBe(1);
    expect(report.damaged.find(({ id }) => id === layer)?.next).toMatch(/cannot be fetched .*127\.0\.0\.1:1/);
  });

  it('keeps the names of a damaged index that can be read, and gives names to images without one', async () => {
    const file = join(root, 'index.json');
    const index = JSON.parse(readFileSync(file, 'utf8'));
    const own = index.manifests.find((entry: { annotations: Record<string, string> }) =>
      Object.values(entry.annotations).includes('own:v1'),
    );
    const { digest } = own;
    own.digest = 'sha256:short';
    writeFileSync(file, JSON.stringify(index));
    const found = await check();
    expect(found.code).toBe(1);
    expect(found.report.damaged).toMatchObject([{ kind: 'index' }]);
    expect((await slipway(['prune'], { root })).code).toBe(1);
    expect((await check('--repair')).report.damaged).toEqual([]);
    const images = JSON.parse(await mustSlipway(['images', '--json'], { root }));
    expect(images.map(({ name }: { name: string }) => name).sort()).toEqual(
      [pulled, `recovered:${hex(digest).slice(0, 12)}`].sort(),
    );
    expect(readdirSync(root).some((name) => name.startsWith('index.json.damaged-'))).toBe(true);
    // Nothing at all can be read: every image gets a name.
    writeFileSync(file, '{');
    expect((await check('--repair')).report.damaged).toEqual([]);
    expect(JSON.parse(await mustSlipway(['images', '--json'], { root }))).toHaveLength(2);
  });

  it('leaves an unpacked layer that is mounted, and says so', async () => {
    const mounted = (await mustSlipway(['mount', 'own:v1'], { root })).trim();
    try {
      const [first = ''] = partsOf('own:v1').diffIds;
      chmodSync(join(root, 'data/overlay2', hex(first), 'diff/tree/3'), 0o600);
      const { code, report } = await check('--repair');
      expect(code).toBe(1);
      expect(report.damaged).toMatchObject([
        { kind: 'unpacked-layer', next: expect.stringContaining(`umount ${mounted}`) },
      ]);
      expect(existsSync(join(mounted, 'tree/3'))).toBe(true);
    } finally {
      await mustSlipway(['umount', '--all'], { root });
    }
    expect((await check('--repair')).code).toBe(0);
  });
});

describe('while an image is damaged', () => {
  it('nothing is freed: what it needs may be the only copy', async () => {
    flip(blob(partsOf('own:v1').manifest), 0);
    const layers = readdirSync(join(root, 'blobs/sha256'));
    const pruned = await slipway(['prune', '--build-cache'], { root });
    expect(pruned.code).toBe(1);
    expect(pruned.stderr).toMatch(/nothing was freed, for own:v1 is damaged[\s\S]*store check --repair/);
    const removed = await slipway(['rmi', pulled], { root });
    expect(removed.code).toBe(0);
    expect(removed.stderr).toContain('own:v1 is damaged');
    expect(readdirSync(join(root, 'blobs/sha256'))).toEqual(layers);
    await mustSlipway(['rmi', 'own:v1'], { root });
    await mustSlipway(['prune', '--build-cache'], { root });
    expect(readdirSync(join(root, 'blobs/sha256'))).toEqual([]);
  });
});

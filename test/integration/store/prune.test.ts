import { mkdirSync, readdirSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { findImage } from '../../../src/store/local-image.js';
import { pinImages } from '../../../src/store/pins.js';
import { Store } from '../../../src/store/store.js';
import type { StoreUsage } from '../../../src/store/usage.js';
import { mustSlipway, slipway } from '../../support/slipway.js';
import { tempDirectory } from '../../support/temp.js';
import { writeTree } from '../../support/write-tree.js';
import { must } from '../registry/support/programs.js';

const home = tempDirectory();
const origin = join(home, 'origin');
let root = '';
let count = 0;

const ok = (...args: string[]): Promise<string> => mustSlipway(args, { root });
const json = async (...args: string[]) => JSON.parse(await ok(...args, '--json'));
const names = async (): Promise<string[]> =>
  ((await json('images')) as { name: string }[]).map(({ name }) => name).sort();
const days = (number: number): string => String(Math.floor(Date.now() / 1000) - number * 86_400);

function recordFiles(): string[] {
  return readdirSync(join(root, 'cache/build'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.json'))
    .map((name) => join(root, 'cache/build', name));
}

/** Lets every record look as if it had been used that many days ago. */
function age(number: number, files = recordFiles()): void {
  for (const file of files) utimesSync(file, Number(days(number)), Number(days(number)));
}

beforeAll(async () => {
  root = origin;
  const make = async (name: string, epoch: string, label: string): Promise<void> => {
    const dir = writeTree(join(home, name), {
      Kubefile: `FROM scratch\nCOPY shared shared\nCOPY own own\nLABEL ${label}\n`,
      shared: 'shared '.repeat(5000),
      own: name.repeat(5000),
    });
    await mustSlipway(['build', '-q', '-t', `${name}:v1`, dir], { root, env: { SOURCE_DATE_EPOCH: epoch } });
  };
  await make('old', days(40), 'team=a');
  await make('new', days(1), 'team=b');
  await make('keep', days(40), 'keep=yes');
});
beforeEach(async () => {
  root = join(home, `store-${count++}`);
  await must('cp', ['-a', origin, root]);
});

describe('prune', () => {
  it('keeps what the build cache used lately, and drops what it did not', async () => {
    const before = recordFiles().length;
    expect(await json('prune')).toMatchObject({ images: [], cacheRecords: 0, blobs: 0 });
    age(8, recordFiles().slice(0, 2));
    expect(await json('prune')).toMatchObject({ cacheRecords: 2 });
    expect(recordFiles()).toHaveLength(before - 2);
    expect(await names()).toEqual(['keep:v1', 'new:v1', 'old:v1']);
  });

  it('does not drop a record that a build has just used', async () => {
    age(30);
    await mustSlipway(['build', '-q', '-t', 'again:v1', join(home, 'new')], {
      root,
      env: { SOURCE_DATE_EPOCH: days(1) },
    });
    const { cacheRecords } = await json('prune');
    expect(cacheRecords).toBeGreaterThan(0);
    expect(recordFiles().length).toBeGreaterThan(0);
  });

  it('frees the layers of an image that is removed once the cache forgets them', async () => {
    await ok('rmi', 'old:v1', 'keep:v1', 'new:v1');
    const dry = await json('prune', '--build-cache', '--dry-run');
    expect(dry).toMatchObject({ dryRun: true, blobs: readdirSync(join(root, 'blobs/sha256')).length });
    expect(readdirSync(join(root, 'blobs/sha256'))).not.toEqual([]);
    const freed = await json('prune', '--build-cache');
    expect({ ...freed, dryRun: true }).toEqual(dry);
    expect(readdirSync(join(root, 'blobs/sha256'))).toEqual([]);
  });

  it('bounds the cache by size, what was used longest ago first', async () => {
    const [first = '', ...others] = recordFiles();
    age(3, others);
    const { layers } = JSON.parse(await must('cat', [first])) as { layers: { descriptor: { size: number } }[] };
    const size = layers.reduce((sum, { descriptor }) => sum + descriptor.size, statSync(first).size);
    await ok('prune', '--keep-storage', `${size}B`);
    expect(recordFiles()).toEqual([first]);
  });

  it('--all takes images by age and label, but none that is mounted or that a cluster runs', async () => {
    const dry = await ok('prune', '--all', '--dry-run', '--filter', 'until=720h', '--filter', 'label!=keep');
    expect(dry).toMatch(/^Would untag: old:v1\nWould free: /);
    await ok('prune', '--all', '--filter', 'until=720h', '--filter', 'label!=keep');
    expect(await names()).toEqual(['keep:v1', 'new:v1']);
    await ok('prune', '--all', '--filter', 'label=team=a');
    expect(await names()).toEqual(['keep:v1', 'new:v1']);
    await ok('mount', 'keep:v1');
    try {
      mkdirSync(join(root, 'data/prod'));
      writeFileSync(join(root, 'data/prod/cluster.json'), JSON.stringify(clusterOf('new:v1')));
      await ok('prune', '--all');
      expect(await names()).toEqual(['keep:v1', 'new:v1']);
    } finally {
      await ok('umount', '--all');
    }
    await ok('prune', '-a', '-f');
    expect(await names()).toEqual(['new:v1']);
    expect((await slipway(['store', 'check'], { root })).code).toBe(0);
  });

  it.each([
    [['--filter', 'label=x'], 'add --all'],
    [['--filter', 'dangling=true'], 'is not known'],
    [['--keep-storage', 'much'], 'is no size'],
  ])('%j is wrong usage', async (flags, said) => {
    const { code, stderr } = await slipway(['prune', ...flags], { root });
    expect(code).toBe(2);
    expect(stderr).toContain(said);
  });
});

it('du adds up: what images share is counted once, and what is an image alone is what rmi and prune free', async () => {
  const usage = (await json('du')) as StoreUsage;
  const blobs = Number(await must('sh', ['-c', `cat ${root}/blobs/sha256/* | wc -c`]));
  expect(usage.images.bytes + usage.buildCache.bytes + usage.unreferenced.bytes).toBe(blobs);
  expect(usage.perImage.map(({ name }) => name)).toEqual(['keep:v1', 'new:v1', 'old:v1']);
  for (const { size, shared, unique } of usage.perImage) expect(shared + unique).toBe(size);
  const [keep] = usage.perImage;
  const removed = await json('rmi', 'keep:v1');
  expect(removed.freedBytes).toBe(keep?.unique);
  expect(await ok('du', '-v')).toMatch(/images +2 [\s\S]*NAME +SIZE +SHARED +UNIQUE\nnew:v1/u);
  expect(await ok('store', 'du')).toContain('"slipway prune" would free');
});

it('what a cluster runs stays, and is found by what it is, as long as the cluster is known', async () => {
  const store = await Store.open(root);
  const { descriptor } = await findImage(store, 'old:v1');
  await pinImages(store, 'prod', [{ name: 'old:v1', descriptor }]);
  await ok('tag', 'new:v1', 'old:v1');
  await ok('prune', '--all', '--build-cache');
  const kept = `old:v1@${descriptor.digest}`;
  expect(await json('inspect', kept)).toMatchObject({ digest: descriptor.digest });
  expect(await ok('store', 'check')).toContain('all is well');
  await ok('tag', kept, 'back:v1');
  await ok('rmi', 'back:v1');
  expect((await slipway(['rmi', descriptor.digest], { root })).stderr).toContain('a cluster that runs it');
  const file = join(root, 'data/prod/images.json');
  writeFileSync(file, '{"schema":1');
  const damaged = await slipway(['prune'], { root });
  expect(damaged).toMatchObject({ code: 1, stderr: expect.stringContaining(`${file} cannot be read`) });
  rmSync(join(root, 'data/prod'), { recursive: true });
  expect((await json('prune', '--all', '--build-cache')).blobs).toBeGreaterThan(0);
  expect((await slipway(['inspect', kept], { root })).code).toBe(1);
});

function clusterOf(image: string): unknown {
  const time = new Date().toISOString();
  return {
    schema: 1,
    id: 'x',
    name: 'prod',
    phase: 'running',
    image: { name: image, digest: 'sha256:x' },
    runtime: 'k8s',
    version: 'v1',
    dataRoot: '/var/lib/slipway',
    registry: { domain: 'sea.hub', port: 5000 },
    env: {},
    envNotKept: [],
    certSANs: [],
    hosts: [],
    created: time,
    updated: time,
  };
}

// A store or a layout that somebody else has made, on a disk or in an archive: what is in it must not lead to anything outside.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { mustSlipway, slipway } from '../../support/slipway.js';
import { tempDirectory } from '../../support/temp.js';
import { writeTree } from '../../support/write-tree.js';

const home = tempDirectory();
let count = 0;

/** A store with the image a:v1, and a directory that is nobody's business. */
async function scene(): Promise<{ readonly root: string; readonly precious: string }> {
  const dir = join(home, String(count++));
  const root = join(dir, 'store');
  await mustSlipway(
    ['build', '-q', '-t', 'a:v1', writeTree(join(dir, 'context'), { Kubefile: 'FROM scratch\nCOPY f f\n', f: 'f' })],
    { root },
  );
  return { root, precious: writeTree(join(dir, 'precious'), { file: 'kept', 'sub/file': 'kept' }) };
}

function expectUntouched(precious: string): void {
  expect(readdirSync(precious).sort()).toEqual(['file', 'sub']);
  expect(readFileSync(join(precious, 'file'), 'utf8')).toBe('kept');
  expect(readFileSync(join(precious, 'sub/file'), 'utf8')).toBe('kept');
}

describe('a store of a stranger', () => {
  it.each([
    ['tmp', ['load', '-i', 'nothing.tar']],
    ['tmp', ['images']],
    ['data/mounts', ['du']],
    ['data/overlay2', ['prune']],
    ['tocs', ['prune', '--all']],
    ['blobs', ['images']],
    ['blobs/sha256', ['images']],
    ['cache', ['prune', '--all']],
    ['data', ['du']],
  ])('with a link in the place of %s is not used: %j', async (place, args) => {
    const { root, precious } = await scene();
    const path = join(root, place);
    if (existsSync(path)) renameSync(path, `${root}-${place.replace('/', '-')}`);
    symlinkSync(precious, path);
    const { code, stderr } = await slipway([...args, '--json'], { root });
    expect([code, stderr]).toEqual([1, expect.stringMatching(/"E_STORE".*a store has its directories in itself/)]);
    expectUntouched(precious);
  });

  it.each(['users.lock', 'index.lock'])('with a link in the place of %s makes no file elsewhere', async (name) => {
    const { root, precious } = await scene();
    const [file, trap] = [join(root, name), join(precious, 'new')];
    if (existsSync(file)) renameSync(file, `${root}-${name}`);
    symlinkSync(trap, file);
    for (const args of [['du'], ['tag', 'a:v1', 'b:v1']]) await slipway(args, { root });
    expectUntouched(precious);
  });

  it.each([
    { kind: 'overlay', ownTarget: true },
    { kind: 'copy', ownTarget: true },
    { kind: 'copy', ownTarget: false, whole: false },
  ])('cannot have a directory removed by the record of a mount: %j', async (record) => {
    const { root, precious } = await scene();
    const descriptor = JSON.parse(readFileSync(join(root, 'index.json'), 'utf8')).manifests[0];
    const key = createHash('sha256').update(precious).digest('hex').slice(0, 16);
    mkdirSync(join(root, 'data/mounts'), { recursive: true });
    writeFileSync(
      join(root, 'data/mounts', `${key}.json`),
      JSON.stringify({ name: 'a:v1', descriptor, target: precious, ...record }),
    );
    for (const args of [['du'], ['mount'], ['umount', '--all'], ['prune']]) await slipway(args, { root });
    expectUntouched(precious);
  });
});

describe('a layout of a stranger', () => {
  it.each(['.slipway-tmp', 'blobs', 'blobs/sha256'])(
    'with a link in the place of %s is not written to',
    async (place) => {
      const { root, precious } = await scene();
      const layout = join(root, '../layout');
      await mustSlipway(['copy', 'a:v1', `oci:${layout}:a`], { root });
      const path = join(layout, place);
      if (existsSync(path)) renameSync(path, `${layout}-${place.replace('/', '-')}`);
      symlinkSync(precious, path);
      const { code, stderr } = await slipway(['copy', 'a:v1', `oci:${layout}:b`], { root });
      expect([code, stderr]).toEqual([1, expect.stringContaining('a layout keeps its blobs in itself')]);
      expectUntouched(precious);
    },
  );

  it('of docker gives nothing that is outside of it', async () => {
    const { root, precious } = await scene();
    const dir = join(root, '../docker');
    mkdirSync(dir);
    symlinkSync(join(precious, 'file'), join(dir, 'link'));
    for (const config of ['../precious/file', 'link', '/etc/passwd']) {
      writeFileSync(join(dir, 'manifest.json'), JSON.stringify([{ Config: config, RepoTags: ['x:1'], Layers: [] }]));
      const { code, stderr } = await slipway(['load', '-i', dir], { root });
      expect([code, stderr]).toEqual([1, expect.stringContaining(`names "${config}", which is not in the archive`)]);
    }
  });

  it('that leads to one image by a million ways is read once', async () => {
    const { root } = await scene();
    const layout = join(root, '../diamond');
    await mustSlipway(['copy', 'a:v1', `oci:${layout}:a`], { root });
    const index = JSON.parse(readFileSync(join(layout, 'index.json'), 'utf8'));
    let below = { ...index.manifests[0], annotations: undefined };
    for (let level = 0; level < 40; level++) {
      const manifests = ['amd64', 'arm64'].map((architecture) => ({
        ...below,
        platform: { os: 'linux', architecture },
      }));
      const bytes = JSON.stringify({
        schemaVersion: 2,
        mediaType: 'application/vnd.oci.image.index.v1+json',
        manifests,
      });
      const hex = createHash('sha256').update(bytes).digest('hex');
      writeFileSync(join(layout, 'blobs/sha256', hex), bytes);
      below = { mediaType: 'application/vnd.oci.image.index.v1+json', digest: `sha256:${hex}`, size: bytes.length };
    }
    const annotations = { 'org.opencontainers.image.ref.name': 'd' };
    writeFileSync(join(layout, 'index.json'), JSON.stringify({ ...index, manifests: [{ ...below, annotations }] }));
    await mustSlipway(['load', '-i', layout], { root });
  }, 60_000);
});

it.each(['index.json', 'oci-layout', 'users.lock', 'index.lock', 'config.yaml'])(
  'a FIFO in the place of %s keeps no command waiting',
  async (name) => {
    const { root } = await scene();
    rmSync(join(root, name), { force: true });
    execFileSync('mkfifo', [join(root, name)]);
    for (const args of [['images'], ['du'], ['tag', 'a:v1', 'b:v1'], ['pull', 'localhost:1/x']]) {
      const { code } = await slipway(args, { root });
      expect(code).not.toBeNull();
    }
  },
  30_000,
);

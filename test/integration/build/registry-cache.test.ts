import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { mustSlipway, slipway } from '../../support/slipway.js';
import { tempDirectory } from '../../support/temp.js';
import { writeTree } from '../../support/write-tree.js';
import { type DockerRegistry, startDockerRegistry } from '../registry/support/docker-registry.js';
import { must } from '../registry/support/programs.js';

const home = tempDirectory();
let registry: DockerRegistry;
let count = 0;

beforeAll(async () => {
  registry = await startDockerRegistry();
});
afterAll(() => registry.close());

const newStore = (): string => join(home, `store-${count++}`);

function context(kubefile: string, files: Readonly<Record<string, string>> = {}): string {
  return writeTree(join(home, 'contexts', String(count++)), { Kubefile: kubefile, ...files });
}

// What RUN writes is different each time: equal digests mean that the second builder did not run it.
const STAGES =
  'FROM scratch AS made\nRUN date +%s%N > time; echo > other\nFROM scratch\nCOPY etc etc/\nRUN date +%s%N > here\nCOPY --from=made time .\n';

describe('a build cache in a registry', () => {
  it('saves another machine the work of all stages with mode=max', async () => {
    const dir = context(STAGES, { 'etc/a': '1' });
    const ref = `${registry.address}/cache/max:v1`;
    const first = await mustSlipway(
      ['build', '-q', '-t', 'x', '--cache-to', `type=registry,ref=${ref},mode=max`, dir],
      {
        root: newStore(),
      },
    );
    const root = newStore();
    const second = await slipway(['build', '-t', 'x', '--cache-from', `type=registry,ref=${ref}`, dir], { root });
    expect(second.stdout).toContain(first.trim());
    expect(second.stderr.match(/\] cached$/gm)).toHaveLength(4);
    // what came from the registry is this machine's own now
    const third = await slipway(['build', dir], { root });
    expect(third.stdout).toContain(first.trim());
  });

  it('holds only what made the image with mode=min', async () => {
    const dir = context(STAGES, { 'etc/a': '2' });
    const ref = `${registry.address}/cache/min:v1`;
    await mustSlipway(['build', '-t', 'x', '--cache-to', `type=registry,ref=${ref}`, dir], { root: newStore() });
    const { stderr } = await slipway(['build', '--cache-from', ref, dir], { root: newStore() });
    expect(stderr).not.toContain('[made 1/1] cached');
    expect(stderr).toContain('[stage-1 1/3] cached');
    expect(stderr).toContain('[stage-1 2/3] cached');
  });

  it('is an OCI artifact that skopeo copies whole', async () => {
    const dir = context('FROM scratch\nCOPY a a\n', { a: '1' });
    const ref = `${registry.address}/cache/copied:v1`;
    const root = newStore();
    const digest = (await mustSlipway(['build', '-q', '-t', 'x', '--cache-to', `ref=${ref}`, dir], { root })).trim();
    const other = `${registry.address}/cache/copy:v1`;
    const plain = ['--src-tls-verify=false', '--dest-tls-verify=false'];
    await must('skopeo', ['copy', ...plain, `docker://${ref}`, `docker://${other}`]);
    const { stdout, stderr } = await slipway(['build', '--cache-from', other, dir], { root: newStore() });
    expect(stderr).toContain('[1/1] cached');
    expect(stdout).toContain(digest);
  });
});

describe('a cache that cannot be had only costs time', () => {
  const dir = context('FROM scratch\nCOPY a a\n', { a: '1' });

  it('when there is none yet', async () => {
    const { code, stderr } = await slipway(['build', '--cache-from', `${registry.address}/cache/none:v1`, dir], {
      root: newStore(),
    });
    expect(code).toBe(0);
    expect(stderr).toMatch(/warning: --cache-from .*cache\/none:v1: there is no such cache yet/);
  });

  it('when it is an ordinary image', async () => {
    const root = newStore();
    const name = `${registry.address}/cache/image:v1`;
    await mustSlipway(['build', '-t', name, dir], { root });
    await mustSlipway(['push', name], { root });
    const { code, stderr } = await slipway(['build', '--cache-from', name, dir], { root: newStore() });
    expect(code).toBe(0);
    expect(stderr).toContain('is not a build cache');
  });

  it('when its registry is not there', async () => {
    const { code, stderr } = await slipway(['build', '--cache-from', 'localhost:1/cache:v1', dir], {
      root: newStore(),
    });
    expect(code).toBe(0);
    expect(stderr).toMatch(/--cache-from localhost:1\/cache:v1 is left out/);
  });

  it('when a layer of it was changed: the instruction is run, and the image is right', async () => {
    const ref = `${registry.address}/cache/damaged:v1`;
    const other = context('FROM scratch\nCOPY a a\n', { a: 'only here' });
    const digest = await mustSlipway(['build', '-q', '-t', 'x', '--cache-to', ref, other], {
      root: newStore(),
      env: { SOURCE_DATE_EPOCH: '1' },
    });
    const blobs = join(registry.root, 'docker/registry/v2/blobs/sha256');
    const layer = readdirSync(join(registry.root, 'docker/registry/v2/repositories/cache/damaged/_layers/sha256'))
      .map((hex) => join(blobs, hex.slice(0, 2), hex, 'data'))
      .filter(
        (file) =>
          existsSync(file) &&
          readFileSync(file)
            .subarray(0, 2)
            .equals(Buffer.from([0x1f, 0x8b])),
      );
    expect(layer).toHaveLength(1);
    const bytes = readFileSync(layer[0] as string);
    bytes[bytes.length - 1] = (bytes[bytes.length - 1] as number) ^ 1;
    rmSync(layer[0] as string);
    writeFileSync(layer[0] as string, bytes);
    const again = await slipway(['build', '--cache-from', ref, '-q', other], {
      root: newStore(),
      env: { SOURCE_DATE_EPOCH: '1' },
    });
    expect(again.stderr).toMatch(/digest[\s\S]*the instruction is run/);
    expect(again.stdout).toBe(digest);
  });
});

describe('a cache that was made by somebody else', () => {
  it('cannot give the content of a layer that is known here to another blob', async () => {
    const dir = context('FROM scratch\nCOPY a a\n', { a: 'good' });
    const root = newStore();
    await mustSlipway(['build', '-t', 'x', '--cache-to', `${registry.address}/cache/forged:v1`, dir], { root });
    const repository = `http://${registry.address}/v2/cache/forged`;
    const type = 'application/vnd.oci.image.manifest.v1+json';
    const get = async <T>(path: string): Promise<T> =>
      (await (await fetch(`${repository}/${path}`, { headers: { accept: type } })).json()) as T;
    const put = async (bytes: Buffer) => {
      const digest = `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
      const { headers } = await fetch(`${repository}/blobs/uploads/`, { method: 'POST' });
      const url = new URL(headers.get('location') ?? '', repository);
      url.searchParams.set('digest', digest);
      expect((await fetch(url, { method: 'PUT', body: new Uint8Array(bytes) })).status).toBe(201);
      return { digest, size: bytes.length };
    };
    const manifest = await get<{ config: { digest: string }; layers: object[] }>('manifests/v1');
    const cache = await get<{ records: { record: { layers: { descriptor: object }[] } }[] }>(
      `blobs/${manifest.config.digest}`,
    );
    const layer = cache.records[0]?.record.layers[0]?.descriptor ?? {};
    Object.assign(layer, await put(gzipSync(Buffer.alloc(10240))));
    Object.assign(manifest.config, await put(Buffer.from(JSON.stringify(cache))));
    manifest.layers = [layer];
    const body = JSON.stringify(manifest);
    const sent = await fetch(`${repository}/manifests/v1`, { method: 'PUT', body, headers: { 'content-type': type } });
    expect(sent.status).toBe(201);

    // The store still knows what is in the layer that the record claims to have.
    await mustSlipway(['prune', '--build-cache'], { root });
    const { stderr } = await slipway(['build', '-t', 'y', '--cache-from', `${registry.address}/cache/forged:v1`, dir], {
      root,
    });
    expect(stderr).toMatch(/unpacks to .*the instruction is run/);
    const rootfs = (await mustSlipway(['mount', 'y'], { root })).trim();
    expect(readFileSync(join(rootfs, 'a'), 'utf8')).toBe('good');
    await mustSlipway(['umount', '--all'], { root });
  });
});

describe('a cache that cannot be stored', () => {
  it('fails the build after the image has its name', async () => {
    const root = newStore();
    const { code, stderr } = await slipway(
      ['build', '-t', 'x:v1', '--cache-to', 'localhost:1/cache:v1', context('FROM scratch\nCOPY a a\n', { a: '1' })],
      { root },
    );
    expect(code).toBe(1);
    expect(stderr).toMatch(/--cache-to localhost:1\/cache:v1: /);
    await mustSlipway(['inspect', 'x:v1'], { root });
  });

  it.each([
    ['type=gha,ref=x', /caches of type "gha" are not known/],
    ['type=local,dest=/x', /caches of type "local" are not known/],
    ['ref=x,mod=max', /unknown option "mod"[\s\S]*did you mean mode/],
    ['type=registry', /ref is missing/],
    ['ref=x,mode=most', /mode is min or max/],
    ['ref=a/UPPER', /UPPER/],
  ])('%s is refused', async (text, message) => {
    const { code, stderr } = await slipway(['build', '--cache-to', text, home], { root: newStore() });
    expect(code).toBe(2);
    expect(stderr).toMatch(message);
  });
});

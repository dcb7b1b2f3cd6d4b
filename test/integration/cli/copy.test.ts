import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { pushImage } from '../../../src/registry/push.js';
import { Store } from '../../../src/store/store.js';
import { LAUNCHER, mustSlipway, slipway, startSlipway } from '../../support/slipway.js';
import { tempDirectory } from '../../support/temp.js';
import { until } from '../../support/until.js';
import { skopeoReadsAll, skopeoSees } from '../registry/support/copy.js';
import { type DockerRegistry, startDockerRegistry } from '../registry/support/docker-registry.js';
import { faultProxy } from '../registry/support/fault-proxy.js';
import { putImage, putIndex } from '../registry/support/images.js';

const home = tempDirectory();
const root = join(home, 'store');
let registry: DockerRegistry;
let digest: string;
let older: string;

const run = (...args: string[]) => slipway(['copy', ...args], { root });
const ok = (...args: string[]) => mustSlipway(['copy', ...args], { root });

beforeAll(async () => {
  registry = await startDockerRegistry();
  const store = await Store.open(root);
  const platform = { os: 'linux', architecture: 'amd64' };
  const image = await putImage(store, { layers: [{ big: randomBytes(4_000_000) }, { small: 'small' }], platform });
  const arm = { os: 'linux', architecture: 'arm64' };
  const both = [
    [platform, image],
    [arm, await putImage(store, { layers: [{ arm: 'arm' }], platform: arm })],
  ] as const;
  await store.tag('app:v1', image);
  await store.tag('app:both', await putIndex(store, both));
  await store.tag('app:v0', await putImage(store, { layers: [{ old: 'old' }] }));
  [digest, older] = [image.digest, (await store.resolve('app:v0'))?.digest ?? ''];
  for (const tag of ['v1', 'both']) await pushImage(store, `app:${tag}`, { to: `${registry.address}/app:${tag}` });
  await store.close();
});
afterAll(() => registry.close());

describe('copy', () => {
  it('says what it did, to people and programs', async () => {
    const [from, to] = [`docker://${registry.address}/app:v1`, `oci:${home}/said`];
    expect(await ok(from, to)).toMatch(
      /^Copied docker:\S+ to oci:\S+ \(sha256:[0-9a-f]{64}\): 4MB copied, 0B were there\n$/,
    );
    expect(await ok('-q', from, to)).toBe(`${digest}\n`);
    expect(JSON.parse(await ok('--json', from, to))).toEqual({
      source: from,
      destination: to,
      digest,
      mediaType: 'application/vnd.oci.image.manifest.v1+json',
      digestKept: true,
      copiedBytes: 0,
      resumedBytes: 0,
      reusedBytes: expect.any(Number),
    });
    expect(await ok('app:v1', `docker-archive:${home}/said.tar`)).toContain('which a docker archive does not keep');
    expect(JSON.parse(await ok('--format', 'json', 'app:v1', `docker-archive:${home}/said.tar`))).toMatchObject({
      digest,
      digestKept: false,
    });
  });

  it('needs no store when no side is one', async () => {
    const none = join(home, 'none');
    await mustSlipway(['copy', '-q', `docker://${registry.address}/app:v1`, `oci:${home}/storeless`], { root: none });
    await mustSlipway(['copy', '-q', `oci:${home}/storeless`, `oci-archive:${home}/storeless.tar`], { root: none });
    expect(existsSync(none)).toBe(false);
  });

  it('chooses a platform, or takes all', async () => {
    const from = `docker://${registry.address}/app:both`;
    await ok('--platform', 'arm64', from, `oci:${home}/one:arm`);
    expect((await skopeoSees(`oci:${home}/one:arm`)).document.layers).toHaveLength(1);
    await ok('-a', from, `oci:${home}/one:all`);
    expect((await skopeoSees(`oci:${home}/one:all`)).document.manifests).toHaveLength(2);
    expect(await run('--platform', 'arm64', 'app:v1', `oci:${home}/one:other`)).toMatchObject({
      code: 0,
      stderr: expect.stringContaining('app:v1 is for linux/amd64, not for linux/arm64'),
    });
  });

  it('goes through pipes', async () => {
    const shell = (script: string) =>
      spawnSync('bash', ['-c', `set -o pipefail; s() { "${process.execPath}" "${LAUNCHER}" "$@"; }; ${script}`], {
        env: { ...process.env, SLIPWAY_ROOT: root },
        encoding: 'utf8',
      });
    expect(shell(`s copy app:v1 oci-archive:- | s copy -q oci-archive:- oci:${home}/piped`)).toMatchObject({
      status: 0,
      stdout: `${digest}\n`,
    });
    expect(shell(`s copy app:v1 docker-archive:/dev/stdout | gzip | s load -q`)).toMatchObject({
      status: 0,
      stdout: 'app:v1\n',
    });
    await mustSlipway(['copy', `oci:${home}/piped`, 'store:app:v1'], { root });
    expect(shell(`s copy app:v1 oci-archive:- > ${home}/to-file.tar`)).toMatchObject({ status: 0, stdout: '' });
    await skopeoReadsAll(`oci-archive:${home}/to-file.tar`, home);
    expect(shell(`s copy app:v1 oci-archive:- | head -c 1000 >/dev/null; exit \${PIPESTATUS[0]}`).status).toBe(141);
  });

  it.each<[string[], number, string]>([
    [['dcoker://x', 'oci:/tmp/x'], 2, 'did you mean docker://x?'],
    [['app:v1', 'oci-archve:x.tar'], 2, 'did you mean oci-archive:x.tar?'],
    [['app:v1'], 2, "missing required argument 'destination'"],
    [['ap:v1', 'store:x'], 1, 'did you mean app:v1?'],
    [['oci:/nonexistent', 'store:x'], 1, 'there is no directory /nonexistent'],
    [['app:v1', 'oci:/etc'], 2, 'is not empty, and no OCI layout'],
    [['app:v1', 'oci-archive:/nonexistent/x.tar'], 1, 'there is no directory /nonexistent'],
    [['app:v1', 'docker://127.0.0.1:1/x'], 1, '127.0.0.1:1'],
    [['app:v1', 'docker-archive:/tmp/x.tar', '--preserve-digests'], 1, 'its digest cannot be kept'],
    [['app:v1', 'store:x', '--all', '--platform', 'amd64'], 2, 'exclude each other'],
    [['app:both', 'store:x', '--platform', 's390x'], 1, 'choose one with --platform: linux/amd64, linux/arm64'],
  ])('%j ends with %i: %s', async (args, code, text) => {
    const result = await run(...args);
    expect(result.stderr).toContain(text);
    expect(result.code).toBe(code);
  });
});

describe('a copy that is killed', () => {
  /** A registry that gives blobs slowly, for as long as it is told to. */
  async function slowRegistry() {
    let slow = true;
    const proxy = await faultProxy(registry.address, ({ method, path }) =>
      slow && method === 'GET' && /blobs/.test(path) ? { drip: 20_000 } : undefined,
    );
    return {
      address: proxy.address,
      hurry: () => {
        slow = false;
      },
    };
  }

  /** Starts a copy and kills it in its middle; `begun` says that it is there. */
  async function killed(args: readonly string[], begun: () => boolean): Promise<void> {
    const child = startSlipway(['copy', '--progress', 'none', ...args], { root });
    await until(begun, 5);
    child.kill('SIGKILL');
    expect((await child.ended).signal).toBe('SIGKILL');
  }

  const bytesBelow = (dir: string): number =>
    existsSync(dir)
      ? readdirSync(dir, { withFileTypes: true, recursive: true })
          .filter((entry) => entry.isFile())
          .reduce((sum, entry) => sum + statSync(join(entry.parentPath, entry.name)).size, 0)
      : 0;

  it('leaves a layout as it was, and the next one goes on where it stopped', async () => {
    const [dir, slow] = [join(home, 'killed'), await slowRegistry()];
    await ok('app:v0', `oci:${dir}:x`);
    const before = readFileSync(join(dir, 'index.json'), 'utf8');
    const args = [`docker://${slow.address}/app:v1`, `oci:${dir}:x`];
    await killed(args, () => bytesBelow(join(dir, '.slipway-tmp')) > 300_000);
    expect(readFileSync(join(dir, 'index.json'), 'utf8')).toBe(before);
    await skopeoReadsAll(`oci:${dir}:x`, home);
    expect((await skopeoSees(`oci:${dir}:x`)).digest).toBe(older);
    slow.hurry();
    const lines = registry.log().split('\n').length;
    await ok(...args);
    const asked = registry
      .log()
      .split('\n')
      .slice(lines)
      .filter((line) => /GET \/v2\/app\/blobs.* 206 /.test(line));
    expect(asked).toHaveLength(1);
    expect((await skopeoSees(`oci:${dir}:x`)).digest).toBe(digest);
    await skopeoReadsAll(`oci:${dir}:x`, home);
    expect(readdirSync(dir).sort()).toEqual(['blobs', 'index.json', 'oci-layout']);
  });

  it.each(['oci-archive', 'docker-archive'])('leaves the %s that was there, and the next one sweeps', async (kind) => {
    const [dir, slow] = [join(home, `killed-${kind}`), await slowRegistry()];
    mkdirSync(dir);
    const file = join(dir, 'x.tar');
    writeFileSync(file, 'precious');
    const args = [`docker://${slow.address}/app:v1`, `${kind}:${file}`];
    await killed(args, () => bytesBelow(dir) > 1_000_000);
    expect(readFileSync(file, 'utf8')).toBe('precious');
    expect(readdirSync(dir)).toHaveLength(2);
    slow.hurry();
    await ok(...args);
    expect(readdirSync(dir)).toEqual(['x.tar']);
    await skopeoReadsAll(`${kind}:${file}`, home);
  });

  it('leaves no tag at a registry', async () => {
    const slow = await slowRegistry();
    const target = await faultProxy(registry.address, () => undefined);
    const args = [`docker://${slow.address}/app:v1`, `docker://${target.address}/killed/app:v1`];
    // nothing of the first repository can be mounted, as it is another registry by its name
    await killed(args, () => target.seen('PUT', /digest=/).length > 0 || target.seen('PATCH', /./).length > 0);
    const tags = await fetch(`http://${registry.address}/v2/killed/app/tags/list`);
    expect([404, 200]).toContain(tags.status);
    expect(await tags.text()).not.toContain('"v1"');
    slow.hurry();
    await ok(...args);
    expect((await skopeoSees(`docker://${registry.address}/killed/app:v1`)).digest).toBe(digest);
  });

  it('and one that is only interrupted, say so and leave nothing unfinished', async () => {
    const [dir, slow] = [join(home, 'interrupted'), await slowRegistry()];
    mkdirSync(dir);
    const child = startSlipway(
      ['copy', '--progress', 'none', `docker://${slow.address}/app:v1`, `oci-archive:${dir}/x.tar`],
      { root },
    );
    await until(() => bytesBelow(dir) > 500_000, 5);
    child.kill('SIGINT');
    expect(await child.ended).toMatchObject({ code: 130, stderr: expect.stringContaining('interrupted') });
    expect(readdirSync(dir)).toEqual([]);
  });
});

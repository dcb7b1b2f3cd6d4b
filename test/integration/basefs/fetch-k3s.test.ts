import { execFile } from 'node:child_process';
import { cp, mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises';
import { arch, tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type ReleaseServer, startReleaseServer } from './release-server.js';
import { addK3s, K3S_IMAGES, k3sAsset, k3sRelease } from './runtime-releases.js';

const run = promisify(execFile);
const SOURCE = join(import.meta.dirname, '../../../basefs/k3s');
const HERE = arch() === 'x64' ? 'amd64' : 'arm64';
const OTHER = HERE === 'amd64' ? 'arm64' : 'amd64';
const VERSION = 'v1.30.4+k3s1';

let server: ReleaseServer;
let root: string;
let context: string;

beforeEach(async () => {
  server = await startReleaseServer();
  await addK3s(server.files, VERSION);
  root = await mkdtemp(join(tmpdir(), 'slipway-fetch-k3s-'));
  context = join(root, 'k3s');
  await cp(SOURCE, context, { recursive: true, filter: (from) => !/\/(?:amd64|arm64|\.cache)(?:\/|$)/.test(from) });
  await rm(join(context, 'imageList'));
});

afterEach(async () => {
  await server.close();
  await rm(root, { recursive: true });
});

describe('basefs/k3s/fetch.sh', () => {
  it('assembles what the Kubefile copies, and the list of images of the release', async () => {
    expect(await fetchSh(['--arch', HERE])).toMatchObject({ code: 0 });
    expect((await readdir(join(context, HERE))).sort()).toEqual(['Metadata', 'bin', 'etc', 'images']);
    expect((await readdir(join(context, HERE, 'bin'))).sort()).toEqual(['k3s', 'nerdctl', 'registry']);
    expect((await stat(join(context, HERE, 'bin/k3s'))).mode & 0o777).toBe(0o755);
    expect(JSON.parse(await text(`${HERE}/Metadata`))).toMatchObject({
      version: VERSION,
      arch: HERE,
      ClusterRuntime: 'k3s',
    });
    expect(await text('imageList')).toBe(K3S_IMAGES);
    expect(await text(`${HERE}/etc/k3s-images`)).toBe(K3S_IMAGES);
    expect(await readdir(join(context, HERE, 'images'))).toEqual([]);
  });

  it('brings every file that its scripts ask for', async () => {
    expect(await fetchSh(['--arch', HERE])).toMatchObject({ code: 0 });
    // What a Kubefile's COPY makes of it: rootfs and the architecture, one over the other.
    const image = join(root, 'image');
    await cp(join(context, 'rootfs'), image, { recursive: true });
    await cp(join(context, HERE), image, { recursive: true });
    for (const script of ['init.sh', 'clean.sh', 'init-registry.sh', 'clean-registry.sh']) {
      const asked = (await readFile(join(image, 'scripts', script), 'utf8')).matchAll(/^\. (lib\/\S+)$/gm);
      for (const [, file = ''] of asked) expect((await stat(join(image, 'scripts', file))).isFile(), file).toBe(true);
    }
  });

  it('fetches for the other architecture, whose k3s has another name', async () => {
    expect(await fetchSh(['--arch', OTHER])).toMatchObject({ code: 0 });
    expect(await text(`${OTHER}/bin/k3s`)).toMatch(new RegExp(`^k3s for ${OTHER}\n`));
  });

  it('adds the archive of images when it is asked to', async () => {
    expect(await fetchSh(['--arch', HERE, '--bundle'])).toMatchObject({ code: 0 });
    expect(await readdir(join(context, HERE, 'images'))).toEqual([`k3s-airgap-images-${HERE}.tar.gz`]);
  });

  it('refuses a k3s whose checksum is wrong, and shows nothing half-made', async () => {
    server.files.set(`${k3sRelease(VERSION)}/${k3sAsset(HERE)}`, Buffer.from('#!/bin/sh\necho evil\n'));
    const failed = await fetchSh(['--arch', HERE]);
    expect(failed.code).toBe(1);
    expect(failed.stderr).toContain('wrong checksum');
    expect(await readdir(context)).not.toContain(HERE);
    expect(await readdir(context)).not.toContain('imageList');
  });

  it.each([
    [['--version', 'v1.30.4'], 'write it like v1.30.4+k3s1'],
    [['--arch', 'riscv64'], 'only amd64 and arm64'],
    [['--cni', 'flannel'], 'unknown argument "--cni"'],
    [['--context'], '--context needs a value'],
  ])('refuses %j', async (args, message) => {
    const failed = await fetchSh(args);
    expect(failed.code).toBe(1);
    expect(failed.stderr).toContain(message);
  });
});

async function fetchSh(args: readonly string[]): Promise<{ code: number; stderr: string }> {
  const env = {
    PATH: process.env.PATH,
    SLIPWAY_GITHUB_URL: server.url,
    NERDCTL_VERSION: 'v2.0.5',
    REGISTRY_VERSION: 'v2.8.3',
    K3S_VERSION: VERSION,
  };
  try {
    const { stderr } = await run('bash', [join(context, 'fetch.sh'), ...args], { env });
    return { code: 0, stderr };
  } catch (error) {
    const { code, stderr } = error as { code: number; stderr: string };
    return { code, stderr };
  }
}

function text(path: string): Promise<string> {
  return readFile(join(context, path), 'utf8');
}

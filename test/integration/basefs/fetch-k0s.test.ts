import { execFile } from 'node:child_process';
import { cp, mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises';
import { arch, tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type ReleaseServer, startReleaseServer } from './release-server.js';
import { addK0s, k0sRelease } from './runtime-releases.js';

const run = promisify(execFile);
const SOURCE = join(import.meta.dirname, '../../../basefs/k0s');
const HERE = arch() === 'x64' ? 'amd64' : 'arm64';
const OTHER = HERE === 'amd64' ? 'arm64' : 'amd64';
const VERSION = 'v1.31.14+k0s.0';

let server: ReleaseServer;
let root: string;
let context: string;

beforeEach(async () => {
  server = await startReleaseServer();
  await addK0s(server.files, VERSION);
  await addK0s(server.files, 'v1.28.15+k0s.0');
  root = await mkdtemp(join(tmpdir(), 'slipway-fetch-k0s-'));
  context = join(root, 'k0s');
  await cp(SOURCE, context, { recursive: true, filter: (from) => !/\/(?:amd64|arm64|\.cache)(?:\/|$)/.test(from) });
  await rm(join(context, 'imageList'));
});

afterEach(async () => {
  await server.close();
  await rm(root, { recursive: true });
});

describe('basefs/k0s/fetch.sh', () => {
  it('assembles what the Kubefile copies, and the list of images that this k0s names', async () => {
    expect((await fetchSh(['--arch', HERE])).code).toBe(0);
    expect((await readdir(join(context, HERE))).sort()).toEqual(['Metadata', 'bin', 'images']);
    expect((await readdir(join(context, HERE, 'bin'))).sort()).toEqual(['k0s', 'kubectl', 'nerdctl', 'registry']);
    expect((await stat(join(context, HERE, 'bin/k0s'))).mode & 0o777).toBe(0o755);
    expect(JSON.parse(await text(`${HERE}/Metadata`))).toMatchObject({
      version: VERSION,
      arch: HERE,
      ClusterRuntime: 'k0s',
    });
    expect(await text('imageList')).toBe(
      'quay.io/k0sproject/coredns:1.11.4\nregistry.k8s.io/pause:3.9\nquay.io/k0sproject/envoy-distroless:v1.31.10\n',
    );
    expect(await readdir(join(context, HERE, 'images'))).toEqual([]);
  });

  it('brings every file that its scripts ask for', async () => {
    expect((await fetchSh(['--arch', HERE])).code).toBe(0);
    // What a Kubefile's COPY makes of it: rootfs and the architecture, one over the other.
    const image = join(root, 'image');
    await cp(join(context, 'rootfs'), image, { recursive: true });
    await cp(join(context, HERE), image, { recursive: true });
    for (const script of ['init.sh', 'clean.sh', 'init-registry.sh', 'clean-registry.sh']) {
      const asked = (await readFile(join(image, 'scripts', script), 'utf8')).matchAll(/^\. (lib\/\S+)$/gm);
      for (const [, file = ''] of asked) expect((await stat(join(image, 'scripts', file))).isFile(), file).toBe(true);
    }
    expect((await readdir(join(image, 'etc'))).sort()).toEqual([
      'modules.conf',
      'registry.service.in',
      'registry.yml',
      'sysctl.conf',
    ]);
  });

  it('fetches for the other architecture, with the list from a k0s that this machine can run', async () => {
    expect((await fetchSh(['--arch', OTHER])).code).toBe(0);
    expect(await text(`${OTHER}/bin/k0s`)).toContain(`# ${OTHER}`);
    expect(await text('imageList')).toContain('registry.k8s.io/pause:3.9');
  });

  it('adds the archive of images when it is asked to', async () => {
    expect((await fetchSh(['--arch', HERE, '--bundle'])).code).toBe(0);
    expect(await readdir(join(context, HERE, 'images'))).toEqual([`k0s-airgap-bundle-${VERSION}-${HERE}`]);
  });

  it('lists no balancer for versions without one', async () => {
    expect((await fetchSh(['--arch', HERE, '--version', 'v1.28.15+k0s.0'])).code).toBe(0);
    expect(await text('imageList')).not.toContain('envoy');
    expect(JSON.parse(await text(`${HERE}/Metadata`)).version).toBe('v1.28.15+k0s.0');
  });

  it('refuses a k0s whose checksum is wrong, and shows nothing half-made', async () => {
    server.files.set(`${k0sRelease(VERSION)}/k0s-${VERSION}-${HERE}`, Buffer.from('#!/bin/sh\necho evil\n'));
    const failed = await fetchSh(['--arch', HERE]);
    expect(failed.code).toBe(1);
    expect(failed.stderr).toContain('wrong checksum');
    expect(await readdir(context)).not.toContain(HERE);
    expect(await readdir(context)).not.toContain('imageList');
  });

  it.each([
    [['--version', 'v1.31.14'], 'write it like v1.31.14+k0s.0'],
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
    SLIPWAY_K8S_URL: server.url,
    SLIPWAY_GITHUB_URL: server.url,
    NERDCTL_VERSION: 'v2.0.5',
    REGISTRY_VERSION: 'v2.8.3',
    K0S_VERSION: VERSION,
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

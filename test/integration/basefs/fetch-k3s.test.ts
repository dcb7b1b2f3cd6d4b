import { execFile } from 'node:child_process';
import { cp, mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises';
import { arch, tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type ReleaseServer, sha256, startReleaseServer, tarGz } from './release-server.js';

const run = promisify(execFile);
const SOURCE = join(import.meta.dirname, '../../../basefs');
const HERE = arch() === 'x64' ? 'amd64' : 'arm64';
const OTHER = HERE === 'amd64' ? 'arm64' : 'amd64';
const VERSION = 'v1.30.4+k3s1';
const IMAGES = 'docker.io/rancher/mirrored-coredns-coredns:1.10.1\ndocker.io/rancher/mirrored-pause:3.6\n';

let server: ReleaseServer;
let root: string;
let context: string;

beforeEach(async () => {
  server = await startReleaseServer();
  await addK3s(VERSION);
  root = await mkdtemp(join(tmpdir(), 'slipway-fetch-k3s-'));
  context = join(root, 'k3s');
  await cp(SOURCE, root, { recursive: true, filter: (from) => !/\/(?:amd64|arm64|\.cache)(?:\/|$)/.test(from) });
  await rm(join(context, 'imageList'));
});

afterEach(async () => {
  await server.close();
  await rm(root, { recursive: true });
});

describe('basefs/k3s/fetch.sh', () => {
  it('assembles what the Kubefile copies, and the list of images of the release', async () => {
    expect(await fetchSh(['--arch', HERE])).toMatchObject({ code: 0 });
    expect((await readdir(join(context, HERE))).sort()).toEqual(['Metadata', 'bin', 'etc', 'images', 'scripts']);
    expect((await readdir(join(context, HERE, 'bin'))).sort()).toEqual(['k3s', 'nerdctl', 'registry']);
    expect((await stat(join(context, HERE, 'bin/k3s'))).mode & 0o777).toBe(0o755);
    expect(JSON.parse(await text(`${HERE}/Metadata`))).toMatchObject({
      version: VERSION,
      arch: HERE,
      ClusterRuntime: 'k3s',
    });
    expect(await text('imageList')).toBe(IMAGES);
    expect(await text(`${HERE}/etc/k3s-images`)).toBe(IMAGES);
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
    expect(await text(`${OTHER}/bin/k3s`)).toBe(`k3s for ${OTHER}`);
  });

  it('adds the archive of images when it is asked to', async () => {
    expect(await fetchSh(['--arch', HERE, '--bundle'])).toMatchObject({ code: 0 });
    expect(await readdir(join(context, HERE, 'images'))).toEqual([`k3s-airgap-images-${HERE}.tar.gz`]);
  });

  it('refuses a k3s whose checksum is wrong, and shows nothing half-made', async () => {
    server.files.set(`${release(VERSION)}/${asset(HERE)}`, Buffer.from('#!/bin/sh\necho evil\n'));
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

it('every script of basefs/k3s, and of the stand-ins, is clean under shellcheck', async () => {
  const files = [
    join(SOURCE, 'k3s/fetch.sh'),
    ...(await readdir(join(SOURCE, 'k3s/rootfs/scripts'))).map((name) => join(SOURCE, 'k3s/rootfs/scripts', name)),
    ...['build.sh', 'assemble.sh'].map((name) => join(SOURCE, '../test/lab/standins', name)),
  ];
  await run('shellcheck', ['--external-sources', '--source-path=SCRIPTDIR', ...files]);
});

function release(version: string): string {
  return `/k3s-io/k3s/releases/download/${version.replace('+', '%2B')}`;
}

function asset(one: string): string {
  return one === 'amd64' ? 'k3s' : `k3s-${one}`;
}

async function addK3s(version: string): Promise<void> {
  for (const one of ['amd64', 'arm64']) {
    const sums: string[] = [];
    const add = (name: string, content: string): void => {
      server.files.set(`${release(version)}/${name}`, Buffer.from(content));
      sums.push(`${sha256(Buffer.from(content))}  ${name}`);
    };
    add(asset(one), `k3s for ${one}`);
    add(`k3s-airgap-images-${one}.tar.gz`, 'an archive');
    add('k3s-images.txt', IMAGES);
    server.files.set(`${release(version)}/sha256sum-${one}.txt`, Buffer.from(`${sums.join('\n')}\n`));
  }
  const nerdctl = await tarGz({ nerdctl: 'nerdctl' });
  const path = '/containerd/nerdctl/releases/download/v2.0.5';
  const names = ['amd64', 'arm64'].map((one) => `nerdctl-2.0.5-linux-${one}.tar.gz`);
  for (const name of names) server.files.set(`${path}/${name}`, nerdctl);
  server.files.set(`${path}/SHA256SUMS`, Buffer.from(names.map((name) => `${sha256(nerdctl)}  ${name}\n`).join('')));
}

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

// Whoever wants a base image of their own copies one folder of basefs and writes another version into `versions`. All of the following
// holds for each of them.
import { execFile } from 'node:child_process';
import { cp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { arch } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { mustSlipway } from '../../support/slipway.js';
import { tempDirectory } from '../../support/temp.js';
import { addKubernetes, type ReleaseServer, startReleaseServer } from './release-server.js';
import { addK0s, addK3s, k0sRelease, k3sAsset, k3sRelease } from './runtime-releases.js';
import { startUpstream, type Upstream } from './upstream.js';

const run = promisify(execFile);
const BASEFS = join(import.meta.dirname, '../../../basefs');
const HERE = arch() === 'x64' ? 'amd64' : 'arm64';
const OTHER = HERE === 'amd64' ? 'arm64' : 'amd64';

interface Folder {
  readonly name: string;
  readonly runtime: string;
  /** The name in `versions`. */
  readonly variable: string;
  readonly version: string;
  /** Published too; nothing in the repository names it. */
  readonly next: string;
  /** A program: its path on the server, and in ARCH/bin. */
  readonly program: (version: string) => { readonly path: string; readonly file: string };
  readonly publish: (server: ReleaseServer, version: string) => Promise<void>;
}

const FOLDERS: readonly Folder[] = [
  {
    name: 'kubernetes',
    runtime: 'k8s',
    variable: 'KUBERNETES_VERSION',
    version: 'v1.30.14',
    next: 'v1.30.98',
    program: (version) => ({ path: `/release/${version}/bin/linux/${HERE}/kubelet`, file: 'kubelet' }),
    publish: async ({ files }, version) => {
      for (const one of [HERE, OTHER]) addKubernetes(files, version, one);
    },
  },
  {
    name: 'k0s',
    runtime: 'k0s',
    variable: 'K0S_VERSION',
    version: 'v1.31.14+k0s.0',
    next: 'v1.31.98+k0s.0',
    program: (version) => ({ path: `${k0sRelease(version)}/k0s-${version}-${HERE}`, file: 'k0s' }),
    publish: ({ files }, version) => addK0s(files, version),
  },
  {
    name: 'k3s',
    runtime: 'k3s',
    variable: 'K3S_VERSION',
    version: 'v1.30.4+k3s1',
    next: 'v1.30.98+k3s1',
    program: (version) => ({ path: `${k3sRelease(version)}/${k3sAsset(HERE)}`, file: 'k3s' }),
    publish: ({ files }, version) => addK3s(files, version),
  },
];

let upstream: Upstream;
beforeAll(async () => {
  upstream = await startUpstream();
});
afterAll(() => upstream.close());

describe.each(FOLDERS)('basefs/$name, copied alone', ({ name, runtime, variable, version, next, program, publish }) => {
  const home = tempDirectory('slipway-folder-');
  const context = join(home, 'mine');
  let server: ReleaseServer;
  beforeAll(async () => {
    server = await startReleaseServer();
    await publish(server, version);
    await publish(server, next);
  });
  afterAll(() => server.close());
  beforeEach(async () => {
    await cp(join(BASEFS, name), context, {
      recursive: true,
      filter: (from) => !/\/(?:amd64|arm64|\.cache)(?:\/|$)/.test(from),
    });
    server.requests.length = 0;
  });
  afterEach(() => rm(context, { recursive: true }));

  it('fetches what is published under its version, and its list of images is of that version too', async () => {
    const list = await readFile(join(context, 'imageList'), 'utf8');
    expect(await text('versions')).toContain(`${variable}=${version}\n`);
    // the releases of k3s name no image by the version of Kubernetes
    if (runtime !== 'k3s') expect(list).toContain(`/kube-proxy:${version.replace(/\+.*/, '')}\n`);
    expect(await fetchSh()).toMatchObject({ code: 0 });
    const { path, file } = program(version);
    expect(await text(`${HERE}/bin/${file}`)).toBe(server.files.get(path)?.toString());
    expect((await stat(join(context, HERE, 'bin', file))).mode & 0o777).toBe(0o755);
    expect((await readdir(join(context, HERE))).sort()).toEqual(expect.arrayContaining(['Metadata', 'bin', 'images']));
  });

  it('another version is written in one place, and all of the image is of that version', async () => {
    await changeVersion();
    expect(await fetchSh()).toMatchObject({ code: 0, stderr: expect.not.stringContaining('another version') });
    expect(JSON.parse(await text(`${HERE}/Metadata`))).toMatchObject({ version: next, ClusterRuntime: runtime });
    expect(await text(`${HERE}/bin/${program(next).file}`)).toBe(server.files.get(program(next).path)?.toString());
    if (runtime === 'k8s') expect(await text('imageList')).toContain(`/kube-proxy:${next}\n`);
    const root = join(home, 'store');
    const images = (await text('imageList')).trim().split('\n');
    await upstream.publish(images);
    upstream.use(root);
    await mustSlipway(['build', '-q', '-t', 'mine:v1', '--platform', `linux/${HERE}`, context], { root });
    const { metadata, containerImages } = JSON.parse(await mustSlipway(['inspect', '--json', 'mine:v1'], { root }));
    expect(containerImages.map(({ image }: { readonly image: string }) => image)).toEqual(images);
    expect(metadata).toMatchObject({ version: next, ClusterRuntime: runtime });
    expect(await mustSlipway(['lint', '--strict', context], { root })).toContain('0 errors, 0 warnings');
  });

  it('says when the other architecture is still of the version before', async () => {
    expect(await fetchSh('--arch', OTHER)).toMatchObject({ code: 0 });
    await changeVersion();
    const { code, stderr } = await fetchSh('--arch', HERE);
    expect(code).toBe(0);
    expect(stderr).toContain(`run fetch.sh --arch ${OTHER} as well`);
    expect(await fetchSh('--arch', OTHER)).toMatchObject({ code: 0, stderr: expect.not.stringContaining('as well') });
  });

  it('a second run touches nothing', async () => {
    expect(await fetchSh()).toMatchObject({ code: 0 });
    const before = await everyFile();
    expect(before.length).toBeGreaterThan(5);
    expect(await fetchSh()).toMatchObject({ code: 0 });
    expect(await everyFile()).toEqual(before);
    // but what is not as it should be is made anew
    await writeFile(join(context, HERE, 'Metadata'), '{}');
    expect(await fetchSh()).toMatchObject({ code: 0 });
    expect(JSON.parse(await text(`${HERE}/Metadata`))).toMatchObject({ version });
  });

  it('a program whose checksum is wrong ends it, and nothing is shown', async () => {
    const { path } = program(version);
    await withFile(path, Buffer.from('#!/bin/sh\necho evil\n'), async () => {
      const { code, stderr } = await fetchSh();
      expect(code).toBe(1);
      expect(stderr).toContain(`${path}: wrong checksum`);
      expect(await readdir(context)).not.toContain(HERE);
    });
  });

  it('a program that the server does not have ends it, and nothing is shown', async () => {
    const { path } = program(version);
    await withFile(path, undefined, async () => {
      const { code, stderr } = await fetchSh();
      expect(code).toBe(1);
      expect(stderr).toContain(`${path}: cannot be downloaded`);
      expect(await readdir(context)).not.toContain(HERE);
    });
  });

  it('a machine without a way to the releases is told what to set', async () => {
    const { code, stderr } = await fetchFrom('http://127.0.0.1:1');
    expect(code).toBe(1);
    expect(stderr).toContain('cannot be verified; run it again to go on, set https_proxy or a mirror');
  });

  it('a download that is cut goes on in the middle', async () => {
    const { path, file } = program(version);
    server.breaks.set(path, 2);
    expect(await fetchSh()).toMatchObject({ code: 0 });
    const ranges = server.requests.filter(({ url }) => url === path).map(({ range }) => range);
    expect(ranges).toEqual([undefined, expect.stringMatching(/^bytes=[1-9]/), expect.stringMatching(/^bytes=[1-9]/)]);
    expect(await text(`${HERE}/bin/${file}`)).toBe(server.files.get(path)?.toString());
  });

  async function changeVersion(): Promise<void> {
    const versions = await text('versions');
    await writeFile(join(context, 'versions'), versions.replace(`${variable}=${version}`, `${variable}=${next}`));
  }

  async function withFile(path: string, content: Buffer | undefined, then: () => Promise<void>): Promise<void> {
    const good = server.files.get(path);
    if (good === undefined) throw new Error(`nothing is published at ${path}`);
    if (content === undefined) server.files.delete(path);
    else server.files.set(path, content);
    try {
      await then();
    } finally {
      server.files.set(path, good);
    }
  }

  /** Everything that a build would read: inode, mode and time of change of each file. */
  async function everyFile(): Promise<string[]> {
    const names = await readdir(context, { recursive: true });
    const files = names.filter((path) => !path.startsWith('.cache')).sort();
    return Promise.all(
      files.map(async (path) => {
        const { ino, mode, ctimeMs } = await stat(join(context, path));
        return `${path} ${ino} ${mode} ${ctimeMs}`;
      }),
    );
  }

  function text(path: string): Promise<string> {
    return readFile(join(context, path), 'utf8');
  }

  function fetchSh(...args: string[]): Promise<{ code: number; stderr: string }> {
    return fetchFrom(server.url, ...args);
  }

  async function fetchFrom(url: string, ...args: string[]): Promise<{ code: number; stderr: string }> {
    const env = { PATH: process.env.PATH, SLIPWAY_K8S_URL: url, SLIPWAY_GITHUB_URL: url };
    try {
      const { stderr } = await run('bash', [join(context, 'fetch.sh'), ...args], { env });
      return { code: 0, stderr };
    } catch (error) {
      const { code, stderr } = error as { code: number; stderr: string };
      return { code, stderr };
    }
  }
});

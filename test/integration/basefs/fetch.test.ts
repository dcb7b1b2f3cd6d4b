import { spawn } from 'node:child_process';
import { cp, mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises';
import { arch, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { until } from '../../support/until.js';
import { type ReleaseServer, sha256, startReleaseServer, VERSIONS } from './release-server.js';

const SOURCE = join(import.meta.dirname, '../../../basefs/kubernetes');
const HERE = arch() === 'x64' ? 'amd64' : 'arm64';
const OTHER = HERE === 'amd64' ? 'arm64' : 'amd64';
const RUNC = `/opencontainers/runc/releases/download/${VERSIONS.RUNC_VERSION}/runc.${HERE}`;
const KUBELET = `/release/${VERSIONS.KUBERNETES_VERSION}/bin/linux/${HERE}/kubelet`;

let server: ReleaseServer;
let context: string;

beforeEach(async () => {
  server = await startReleaseServer();
  context = await mkdtemp(join(tmpdir(), 'slipway-fetch-'));
  for (const part of ['Kubefile', 'rootfs', 'fetch.sh', 'fetch', 'versions', 'checksums', 'image-versions', 'cni']) {
    await cp(join(SOURCE, part), join(context, part), { recursive: true });
  }
});

afterEach(async () => {
  await server.close();
  await rm(context, { recursive: true });
});

describe('basefs/kubernetes/fetch.sh', () => {
  it('assembles what the Kubefile copies, and the image list with the images of the network plugin', async () => {
    const { code, stderr } = await fetchSh(['--arch', HERE]);
    expect(stderr).toContain('kube-flannel.yml: no checksum is published');
    expect(code).toBe(0);
    expect((await readdir(join(context, HERE, 'bin'))).sort()).toEqual([
      'containerd',
      'containerd-shim-runc-v2',
      'crictl',
      'ctr',
      'kubeadm',
      'kubectl',
      'kubelet',
      'registry',
      'runc',
    ]);
    expect((await readdir(join(context, HERE, 'cni'))).sort()).toEqual(['bridge', 'host-local', 'loopback']);
    for (const program of ['bin/runc', 'bin/registry', 'cni/bridge']) {
      expect((await stat(join(context, HERE, program))).mode & 0o777, program).toBe(0o755);
    }
    expect(JSON.parse(await text(`${HERE}/Metadata`))).toEqual({
      version: 'v1.30.14',
      arch: HERE,
      variant: '',
      kubeVersion: '',
      NydusFlag: false,
      ClusterRuntime: 'k8s',
    });
    expect(await text(`${HERE}/manifests/cni/kube-flannel.yml`)).toContain('DaemonSet');
    expect(await text(`${HERE}/etc/sandbox-image`)).toBe('registry.k8s.io/pause:3.9\n');
    expect((await text('imageList')).trim().split('\n')).toEqual([
      'registry.k8s.io/kube-apiserver:v1.30.14',
      'registry.k8s.io/kube-controller-manager:v1.30.14',
      'registry.k8s.io/kube-scheduler:v1.30.14',
      'registry.k8s.io/kube-proxy:v1.30.14',
      'registry.k8s.io/coredns/coredns:v1.11.3',
      'registry.k8s.io/pause:3.9',
      'registry.k8s.io/etcd:3.5.15-0',
      'docker.io/flannel/flannel-cni-plugin:v1.5.1-flannel2',
      'docker.io/flannel/flannel:v0.25.6',
    ]);
  });

  it('fetches for the other architecture, with the image list from a kubeadm that this machine can run', async () => {
    const { code } = await fetchSh(['--arch', OTHER, '--cni', 'none']);
    expect(code).toBe(0);
    expect(await text(`${OTHER}/bin/kubelet`)).toContain(`kubelet ${OTHER}`);
    expect(JSON.parse(await text(`${OTHER}/Metadata`)).arch).toBe(OTHER);
    expect(await text('imageList')).toContain('registry.k8s.io/pause:3.9');
    expect(await exists(`${OTHER}/manifests`)).toBe(false);
    expect(await exists(HERE)).toBe(false);
  });

  it('gives hosts a bridge instead of a network plugin when asked', async () => {
    expect((await fetchSh(['--arch', HERE, '--cni', 'bridge'])).code).toBe(0);
    expect(await text(`${HERE}/etc/cni-bridge.conflist.in`)).toContain('@HOST_POD_CIDR@');
    expect(await text('imageList')).not.toContain('flannel');
  });

  it('makes a whole build context in another directory', async () => {
    expect((await fetchSh(['--arch', HERE, '--context', join(context, 'elsewhere')])).code).toBe(0);
    expect((await readdir(join(context, 'elsewhere'))).sort()).toEqual([
      '.cache',
      'Kubefile',
      HERE,
      'imageList',
      'rootfs',
    ]);
    expect(await exists(HERE)).toBe(false);
  });

  it('downloads nothing twice', async () => {
    expect((await fetchSh(['--arch', HERE])).code).toBe(0);
    server.requests.length = 0;
    expect((await fetchSh(['--arch', HERE])).code).toBe(0);
    expect(server.requests.map(({ url }) => url).filter((url) => !/\.sha256(sum)?$/.test(url))).toEqual([]);
  });

  it('refuses a file whose checksum is wrong, shows nothing half-made, and goes on when it is mended', async () => {
    const good = must(server.files.get(RUNC));
    server.files.set(RUNC, Buffer.from('#!/bin/sh\necho evil\n'));
    const failed = await fetchSh(['--arch', HERE]);
    expect(failed.code).toBe(1);
    expect(failed.stderr).toContain(`${server.url}${RUNC}: wrong checksum`);
    expect(failed.stderr).toContain(sha256(good));
    expect(await exists(HERE)).toBe(false);
    expect(await exists('imageList')).toBe(false);

    server.files.set(RUNC, good);
    server.requests.length = 0;
    expect((await fetchSh(['--arch', HERE])).code).toBe(0);
    expect(await text(`${HERE}/bin/runc`)).toContain('echo runc');
    expect(server.requests.some(({ url }) => url === KUBELET)).toBe(false);
  });

  it('leaves what was fetched before as it is when a new version cannot be fetched', async () => {
    expect((await fetchSh(['--arch', HERE])).code).toBe(0);
    const failed = await fetchSh(['--arch', HERE, '--version', 'v1.30.99']);
    expect(failed.code).toBe(1);
    expect(failed.stderr).toContain('v1.30.99');
    expect(JSON.parse(await text(`${HERE}/Metadata`)).version).toBe('v1.30.14');
    expect(await text(`${HERE}/bin/kubelet`)).toContain('echo kubelet');
  });

  it('goes on in the middle of a file when the connection breaks', async () => {
    server.breaks.set(KUBELET, 2);
    expect((await fetchSh(['--arch', HERE])).code).toBe(0);
    const ranges = server.requests.filter(({ url }) => url === KUBELET).map(({ range }) => range);
    expect(ranges).toHaveLength(3);
    expect(ranges[0]).toBeUndefined();
    expect(ranges[1]).toMatch(/^bytes=[1-9]\d*-$/);
    expect(await text(`${HERE}/bin/kubelet`)).toBe(must(server.files.get(KUBELET)).toString());
  });

  it('goes on in the middle of a file after kill -9', async () => {
    const killed = start(['--arch', HERE]);
    await new Promise<void>((reached) => {
      server.hold = { path: KUBELET, reached };
    });
    await until(async () => (await size(`.cache/downloads${KUBELET}.part`)) > 0, 20);
    process.kill(-must(killed.child.pid), 'SIGKILL');
    await killed.done;
    expect(await exists(HERE)).toBe(false);

    server.hold = undefined;
    server.requests.length = 0;
    expect((await fetchSh(['--arch', HERE])).code).toBe(0);
    expect(server.requests.find(({ url }) => url === KUBELET)?.range).toMatch(/^bytes=[1-9]\d*-$/);
    expect(await text(`${HERE}/bin/kubelet`)).toBe(must(server.files.get(KUBELET)).toString());
  });

  it('starts a file again when what was left of it belongs to something else', async () => {
    const path = join(context, '.cache/downloads', KUBELET);
    await cp(join(context, 'versions'), `${path}.part`, { recursive: true });
    expect((await fetchSh(['--arch', HERE])).code).toBe(0);
    expect(await text(`${HERE}/bin/kubelet`)).toBe(must(server.files.get(KUBELET)).toString());
  });

  it('lets a pinned checksum win over the one that the server publishes', async () => {
    expect((await fetchSh(['--arch', HERE, '--pin'])).code).toBe(0);
    expect(await text('checksums')).toContain(`${sha256(must(server.files.get(RUNC)))}  ${RUNC.slice(1)}\n`);
    // somebody changes the file on the server, and the checksum beside it
    const evil = Buffer.from('#!/bin/sh\necho evil\n');
    server.files.set(RUNC, evil);
    server.files.set(RUNC.replace(/runc\.\w+$/, 'runc.sha256sum'), Buffer.from(`${sha256(evil)}  runc.${HERE}\n`));
    await rm(join(context, '.cache'), { recursive: true });
    const { code, stderr } = await fetchSh(['--arch', HERE]);
    expect(code).toBe(1);
    expect(stderr).toContain('wrong checksum');
  });

  it('says what is missing when a checksum file does not name the file', async () => {
    server.files.set(RUNC.replace(/runc\.\w+$/, 'runc.sha256sum'), Buffer.from('<html>not found</html>\n<p>\n'));
    const { code, stderr } = await fetchSh(['--arch', HERE]);
    expect(code).toBe(1);
    expect(stderr).toContain(`has no sha256 of runc.${HERE}`);
  });

  it('goes through a proxy', async () => {
    const { code } = await fetchSh(['--arch', HERE], {
      SLIPWAY_K8S_URL: 'http://dl.k8s.invalid',
      SLIPWAY_GITHUB_URL: 'http://github.invalid',
      http_proxy: server.url,
    });
    expect(code).toBe(0);
    expect(server.requests.some(({ url }) => url === `http://github.invalid${RUNC}`)).toBe(true);
  });

  it('takes the image list from its table when kubeadm does not run, and says so', async () => {
    const kubeadm = `/release/${VERSIONS.KUBERNETES_VERSION}/bin/linux/${HERE}/kubeadm`;
    const broken = Buffer.from('#!/bin/sh\nexit 126\n');
    server.files.set(kubeadm, broken);
    server.files.set(`${kubeadm}.sha256`, Buffer.from(sha256(broken)));
    const { code, stderr } = await fetchSh(['--arch', HERE, '--cni', 'none']);
    expect(code).toBe(0);
    expect(stderr).toContain('from a table');
    expect(await text('imageList')).toContain('registry.k8s.io/kube-proxy:v1.30.14\n');
    expect(await text('imageList')).toContain('registry.k8s.io/pause:3.9\n');
  });

  it.each([
    [['--arch', 'mips'], '--arch "mips"'],
    [['--version', '1.30'], '--version "1.30"'],
    [['--cni', 'calico'], '--cni "calico"'],
    [['--arch'], '--arch needs a value'],
    [['--frobnicate'], 'unknown argument "--frobnicate"'],
  ])('refuses %j', async (args, message) => {
    const { code, stderr } = await fetchSh(args);
    expect(code).toBe(1);
    expect(stderr).toContain(message);
    expect(server.requests).toEqual([]);
  });
});

interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function start(args: readonly string[], env: Readonly<Record<string, string>> = {}) {
  const child = spawn('bash', [join(context, 'fetch.sh'), ...args], {
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      PATH: process.env.PATH,
      SLIPWAY_K8S_URL: server.url,
      SLIPWAY_GITHUB_URL: server.url,
      ...VERSIONS,
      ...env,
    },
  });
  const done = new Promise<Ended>((resolve, reject) => {
    let stdout = '';
    let stderr = '';
    child.stdout.on('data', (piece: Buffer) => {
      stdout += piece.toString();
    });
    child.stderr.on('data', (piece: Buffer) => {
      stderr += piece.toString();
    });
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, stdout, stderr }));
  });
  return { child, done };
}

function fetchSh(args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Ended> {
  return start(args, env).done;
}

function text(path: string): Promise<string> {
  return readFile(join(context, path), 'utf8');
}

async function size(path: string): Promise<number> {
  return (await stat(join(context, path)).catch(() => ({ size: -1 }))).size;
}

async function exists(path: string): Promise<boolean> {
  return (await size(path)) >= 0;
}

function must<T>(value: T | undefined): T {
  if (value === undefined) throw new Error('the test lacks a value');
  return value;
}

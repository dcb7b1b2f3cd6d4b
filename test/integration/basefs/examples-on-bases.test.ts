// The examples that stand upon a base image, each built as its README says. The bases are those of basefs; a server and a registry of this machine
// stand for the internet.
import { execFile } from 'node:child_process';
import { copyFileSync, cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { arch } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readClusterfile } from '../../../src/install/clusterfile/read-clusterfile.js';
import { specFromClusterfile } from '../../../src/install/clusterfile/spec-from-clusterfile.js';
import type { ClusterSpec } from '../../../src/install/spec/cluster-spec.js';
import { chooseClusterRuntime } from '../../../src/runtime/choose.js';
import type { ImageDescription } from '../../../src/store/describe.js';
import { mustSlipway, slipway } from '../../support/slipway.js';
import { tempDirectory } from '../../support/temp.js';
import { BASES, buildBases } from './bases.js';
import { startUpstream, type Upstream } from './upstream.js';

const run = promisify(execFile);
const EXAMPLES = join(import.meta.dirname, '../../../examples');
const HERE = arch() === 'x64' ? 'amd64' : 'arm64';
const OTHER = HERE === 'amd64' ? 'arm64' : 'amd64';
const DASHBOARD = ['docker.io/kubernetesui/dashboard:v2.2.0', 'docker.io/kubernetesui/metrics-scraper:v1.0.6'];
const BUSYBOX = 'docker.io/library/busybox:1.36';

const home = tempDirectory('slipway-examples-');
const root = join(home, 'store');
let upstream: Upstream;

beforeAll(async () => {
  upstream = await startUpstream();
  await upstream.publish([
    ...DASHBOARD,
    BUSYBOX,
    'docker.io/library/nginx:1.27',
    'docker.io/plant/camera:v1-amd64',
    'docker.io/plant/camera:v1-arm64',
  ]);
  await buildBases(root, upstream, home, ['kubernetes', 'k0s', 'k3s']);
}, 300_000);
afterAll(() => upstream.close());

describe('dashboard', () => {
  const MANIFEST = 'kind: Namespace\nmetadata: {name: kubernetes-dashboard}\n';
  let server: Server;
  let asked: string[] = [];
  beforeAll(async () => {
    server = createServer(({ url = '' }, response) => {
      asked.push(url);
      response.end(MANIFEST);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  });
  afterAll(() => new Promise((resolve) => server.close(resolve)));

  it.each([
    ['kubernetes', 'k8s', 'v1.30.14', ['bash scripts/apply-cni.sh']],
    ['k0s', 'k0s', 'v1.31.14+k0s.0', []],
    ['k3s', 'k3s', 'v1.30.4+k3s1', []],
  ] as const)(
    'upon %s: RUN brings the manifest, CMD follows those of the base, images of both are carried',
    async (...given) => {
      const [folder, runtime, version, launched] = given;
      asked = [];
      const { port } = server.address() as AddressInfo;
      const manifest = `MANIFEST=http://127.0.0.1:${port}/recommended.yaml`;
      const list = ['--image-list', join(EXAMPLES, 'dashboard/imageList')];
      const args = ['--build-arg', `BASE=${BASES[folder]}`, '--build-arg', manifest, ...list];
      await build('dashboard', `dashboard:${folder}`, ...args);
      expect(asked).toEqual(['/recommended.yaml']);
      const image = await inspect(`dashboard:${folder}`);
      expect(image.metadata).toMatchObject({ ClusterRuntime: runtime, version });
      expect(image.launch.cmds).toEqual([...launched, 'kubectl apply -f recommended.yaml']);
      const base = await inspect(BASES[folder]);
      expect(base.containerImages.length).toBeGreaterThan(1);
      expect(names(image)).toEqual([...names(base), ...DASHBOARD]);
      expect(image.layers.slice(0, base.layers.length)).toEqual(base.layers);
      expect(await file(`dashboard:${folder}`, 'recommended.yaml')).toBe(MANIFEST);
      expect((await imagesIn(`dashboard:${folder}`)).filter(({ carried }) => !carried)).toEqual([]);
    },
  );

  it('says what is wrong when the manifest cannot be had, and makes no image', async () => {
    const flags = ['--build-arg', 'MANIFEST=http://127.0.0.1:1/recommended.yaml'];
    const args = ['build', '-t', 'dashboard:none', ...flags, join(EXAMPLES, 'dashboard')];
    const { code, stderr } = await slipway(args, { root });
    expect(code).toBe(1);
    expect(stderr).toMatch(/dashboard\/Kubefile:7:1: the command ended with exit code 4; .*refused\.\n {4}RUN wget/s);
    expect((await slipway(['inspect', 'dashboard:none'], { root })).code).toBe(1);
  });
});

describe('rootfs', () => {
  it('what cannot be launched is refused before anything is done', async () => {
    await build('rootfs', 'toy:v1');
    const { code, stdout, stderr } = await slipway(['run', 'toy:v1', '--masters', '127.0.0.1', '--dry-run'], { root });
    expect(code).toBe(1);
    expect(stdout + stderr).toContain('the image has no bin/kubeadm');
  });

  it('the rootfs of a base image is changed, and is an image that differs in that only', async () => {
    const base = BASES.k3s;
    const mine = join(home, 'my-rootfs');
    mkdirSync(mine);
    const mounted = (await mustSlipway(['mount', base], { root })).trim();
    await run('cp', ['-a', `${mounted}/.`, mine]);
    await mustSlipway(['umount', base], { root });
    for (const name of ['Kubefile', '.dockerignore']) copyFileSync(join(EXAMPLES, 'rootfs', name), join(mine, name));
    writeFileSync(join(mine, 'etc/registry.yml'), `${readFileSync(join(mine, 'etc/registry.yml'), 'utf8')}# mine\n`);
    await mustSlipway(['build', '-q', '-t', 'own:v1', '--platform', `linux/${HERE}`, mine], { root });
    const [own, original] = [await inspect('own:v1'), await inspect(base)];
    expect(own.metadata).toEqual(original.metadata);
    expect(names(own)).toEqual(names(original));
    expect(await file('own:v1', 'etc/registry.yml')).toMatch(/# mine\n$/);
    expect(await mustSlipway(['diff', '-q', base, 'own:v1'], { root })).toBe('etc/registry.yml\n');
    const { stdout, stderr } = await slipway(['run', 'own:v1', '--masters', '127.0.0.1', '--dry-run'], { root });
    expect(stdout + stderr).not.toContain('the image has no');
  });
});

describe('mixed', () => {
  it('one name, an image for each architecture with the program and the container images of its own', async () => {
    await build('mixed', 'plant/mixed:v1', '--platform', 'linux/amd64,linux/arm64');
    for (const [platform, other] of [
      ['amd64', 'arm64'],
      ['arm64', 'amd64'],
    ]) {
      const flags = ['--platform', `linux/${platform}`];
      const image = await inspect('plant/mixed:v1', ...flags);
      expect(image.metadata).toMatchObject({ arch: platform });
      expect(names(image)).toEqual(expect.arrayContaining([BUSYBOX, `docker.io/plant/camera:v1-${platform}`]));
      expect(names(image)).not.toContain(`docker.io/plant/camera:v1-${other}`);
      expect(await file('plant/mixed:v1', 'bin/site-agent', ...flags)).toContain(`compiled for ${platform}`);
      expect(await mustSlipway(['inspect', ...flags, 'plant/mixed:v1'], { root })).toContain(
        `linux/${platform} (also there: linux/${other}; see --platform)\n`,
      );
    }
  });

  it('hosts of another architecture are told apart before anything is done', async () => {
    const args = ['run', 'plant/mixed:v1', '--masters', '127.0.0.1', '--dry-run'];
    const wrong = await slipway([...args, '--platform', `linux/${OTHER}`], { root });
    expect(wrong.code).toBe(1);
    expect(wrong.stdout + wrong.stderr).toContain(`its architecture is ${HERE}, the image is for ${OTHER}`);
    const right = await slipway(args, { root });
    expect(right.stdout + right.stderr).not.toContain('its architecture is');
  });
});

describe('offline', () => {
  it('carries what its list and its manifests name, which is seen where there is no network at all', async () => {
    const context = join(home, 'offline');
    cpSync(join(EXAMPLES, 'offline'), context, { recursive: true });
    await mustSlipway(['build', '-q', '-t', 'shop:v1', '--lock', 'update', context], { root });
    expect(readFileSync(join(context, 'imageList.lock'), 'utf8')).toContain('docker.io/library/nginx:1.27:');
    const archive = join(home, 'shop.tar');
    await mustSlipway(['save', '-o', archive, 'shop:v1'], { root });
    // a machine of the site: it knows no registry
    const site = join(home, 'site');
    await mustSlipway(['load', '-i', archive], { root: site });
    const asked = await imagesIn('shop:v1', site);
    expect(asked.map(({ image }) => image)).toEqual(expect.arrayContaining([BUSYBOX, 'docker.io/library/nginx:1.27']));
    expect(asked.filter(({ carried }) => !carried)).toEqual([]);
    const { launch } = JSON.parse(await mustSlipway(['inspect', '--json', 'shop:v1'], { root: site }));
    expect(launch.cmds).toEqual(['bash scripts/apply-cni.sh', 'kubectl apply -f manifests/shop.yaml']);
  });

  it('its Clusterfiles say which registry it is', async () => {
    const inside = await clusterfile('offline/Clusterfile');
    expect(inside.image).toBe('shop:v1');
    expect(inside.registry).toMatchObject({ ha: true, username: 'puller', password: 'from-the-environment' });
    const outside = await clusterfile('offline/Clusterfile.external');
    expect(outside.registry).toMatchObject({
      external: true,
      domain: 'images.plant.example',
      port: 443,
      username: 'slipway',
    });
    expect(outside.hosts).toEqual(inside.hosts);
  });
});

describe('three-masters', () => {
  it.each([
    ['kubeadm', 'kubernetes', 'k8s'],
    ['k0s', 'k0s', 'k0s'],
    ['k3s', 'k3s', 'k3s'],
  ] as const)('%s: the image is of the runtime whose documents the Clusterfile has', async (name, folder, runtime) => {
    await build('three-masters', 'plant:v1', '--build-arg', `BASE=${BASES[folder]}`);
    const image = await inspect('plant:v1');
    expect(image.metadata).toMatchObject({ ClusterRuntime: runtime });
    expect(image.launch.cmds.at(-1)).toBe('kubectl apply -f manifests/limits.yaml');

    const spec = await clusterfile(`three-masters/${name}.yaml`);
    expect(spec.image).toBe('plant:v1');
    expect(spec.hosts.map(({ roles }) => roles)).toEqual([['master'], ['master'], ['master'], ['node'], ['node']]);
    const driver = await chooseClusterRuntime(image.metadata ?? {});
    expect(driver.networks(spec.configDocuments).podCIDR).toBe('10.60.0.0/16');
  });
});

async function build(example: string, tag: string, ...flags: string[]): Promise<void> {
  await mustSlipway(['build', '-q', '-t', tag, ...flags, join(EXAMPLES, example)], { root });
}

async function inspect(image: string, ...flags: string[]): Promise<ImageDescription> {
  return JSON.parse(await mustSlipway(['inspect', '--json', ...flags, image], { root })) as ImageDescription;
}

function names({ containerImages }: ImageDescription): string[] {
  return containerImages.map(({ image }) => image);
}

/** What the files of an image ask for, and whether its registry/ has it. */
async function imagesIn(image: string, store = root): Promise<{ readonly image: string; readonly carried: boolean }[]> {
  return JSON.parse(await mustSlipway(['images-in', '--json', image], { root: store })).images;
}

/** A file of an image's rootfs. */
async function file(image: string, path: string, ...flags: string[]): Promise<string> {
  const mounted = (await mustSlipway(['mount', ...flags, image], { root })).trim();
  try {
    return readFileSync(join(mounted, path), 'utf8');
  } finally {
    await mustSlipway(['umount', mounted], { root });
  }
}

/** The wanted state that a Clusterfile of the examples describes. */
function clusterfile(path: string): Promise<ClusterSpec> {
  const name = join(EXAMPLES, path);
  const environment = { HOME: '/home/op', REGISTRY_PASS: 'from-the-environment' };
  return specFromClusterfile(readClusterfile(readFileSync(name, 'utf8'), path), {}, { file: name, environment });
}

// Applications from registries and chart repositories: charts as "helm push" makes them, files as "oras push" does, images.
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { dirname, join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { pushImage } from '../../../src/registry/push.js';
import type { Store } from '../../../src/store/store.js';
import { mustSlipway, slipway } from '../../support/slipway.js';
import { tempDirectory } from '../../support/temp.js';
import { type DockerRegistry, startDockerRegistry } from '../registry/support/docker-registry.js';
import { type Files, putDocument, putImage, putIndex, tarOf, tempStore } from '../registry/support/images.js';
import { must } from '../registry/support/programs.js';

const home = tempDirectory('slipway-app-sources-');
const root = join(home, 'store');
const KUBE = 'kind: Namespace\napiVersion: v1\nmetadata: {name: x}\n';
const MANIFEST = 'application/vnd.oci.image.manifest.v1+json';
const EMPTY = 'application/vnd.oci.empty.v1+json';
const CHART = 'application/vnd.cncf.helm.chart.content.v1.tar+gzip';
const TITLE = 'org.opencontainers.image.title';

let registry: DockerRegistry;
let artifacts: Store;
let closeStore: () => Promise<void>;
beforeAll(async () => {
  registry = await startDockerRegistry();
  ({ store: artifacts, close: closeStore } = await tempStore());
});
afterAll(async () => {
  await closeStore();
  await registry.close();
});

let contexts = 0;
function context(kubefile: string): string {
  const dir = join(home, `context-${contexts++}`);
  mkdirSync(dir);
  writeFileSync(join(dir, 'Kubefile'), kubefile);
  return dir;
}

/** Builds an image of one application and gives its files, with their contents. */
async function files(source: string, env: NodeJS.ProcessEnv = {}, ...flags: string[]): Promise<Record<string, string>> {
  const name = `app-${contexts}:v1`;
  const dir = context(`FROM scratch\nAPP web ${source}\nAPPCMDS web ["true"]\n`);
  await mustSlipway(['build', '-q', '-t', name, '--type', 'app-installer', ...flags, dir], { root, env });
  const unpacked = join(home, `unpacked-${contexts}`);
  await must('umoci', ['unpack', '--rootless', '--image', `${root}:${name}`, unpacked]);
  const listing = await must('find', [
    join(unpacked, 'rootfs/application/apps/web'),
    '-type',
    'f',
    '-printf',
    '%m %P\n',
  ]);
  return Object.fromEntries(
    listing
      .trim()
      .split('\n')
      .sort()
      .map((line) => [line, readFileSync(join(unpacked, 'rootfs/application/apps/web', line.slice(4)), 'utf8')]),
  );
}

async function failure(source: string, env: NodeJS.ProcessEnv = {}, ...flags: string[]): Promise<string> {
  const dir = context(`FROM scratch\nAPP web ${source}\nAPPCMDS web ["true"]\n`);
  const { code, stderr } = await slipway(['build', '-q', '--type', 'app-installer', ...flags, dir], { root, env });
  expect(code, stderr).toBe(1);
  return stderr;
}

interface Part {
  readonly mediaType?: string;
  readonly content: string | Buffer;
  readonly annotations?: Readonly<Record<string, string>>;
}

/** Pushes an artifact with these layers. */
async function artifact(name: string, configType: string, parts: readonly Part[]): Promise<string> {
  const layers = [];
  for (const { content, annotations, mediaType = 'application/octet-stream' } of parts)
    layers.push({ mediaType, ...(await artifacts.putBlob(Buffer.from(content))), ...(annotations && { annotations }) });
  const config = { mediaType: configType, ...(await artifacts.putBlob(Buffer.from('{}'))) };
  const full = `${registry.address}/${name}`;
  await artifacts.tag(full, await putDocument(artifacts, { schemaVersion: 2, mediaType: MANIFEST, config, layers }));
  await pushImage(artifacts, full);
  return `oci://${full}`;
}

async function packed(entries: Files): Promise<Buffer> {
  return gzipSync(await tarOf(entries));
}
const chartFiles = (name: string): Files => ({
  [`${name}/Chart.yaml`]: `apiVersion: v2\nname: ${name}\nversion: 1.0.0\n`,
  [`${name}/values.yaml`]: 'a: 1\n',
  [`${name}/templates/a.yaml`]: KUBE,
});

it('container images that an application names are collected under its name', async () => {
  for (const name of ['one', 'two', 'three']) {
    const full = `${registry.address}/${name}:v1`;
    await artifacts.tag(full, await putImage(artifacts, { layers: [{ [name]: name }] }));
    await pushImage(artifacts, full);
  }
  const pod = (name: string): string =>
    `kind: Pod\napiVersion: v1\nmetadata: {name: x}\nspec: {containers: [{name: x, image: "${registry.address}/${name}:v1"}]}\n`;
  const dir = context(
    'FROM scratch\nAPP web local://web.yaml local://both.yaml\nCNI net local://both.yaml\nCOPY other.yaml manifests/\nLAUNCH net web\n',
  );
  writeFileSync(join(dir, 'web.yaml'), pod('one'));
  writeFileSync(join(dir, 'both.yaml'), pod('two'));
  writeFileSync(join(dir, 'other.yaml'), pod('three'));
  await mustSlipway(['build', '-q', '-t', 'images:v1', '--type', 'app-installer', dir], { root });
  const { containerImages } = JSON.parse(await mustSlipway(['inspect', 'images:v1', '--json'], { root })) as {
    containerImages: { image: string; appName?: string }[];
  };
  expect(
    containerImages.map(({ image, appName }) => `${image.slice(registry.address.length + 1)} ${appName}`).sort(),
  ).toEqual(['one:v1 web', 'three:v1 undefined', 'two:v1 net', 'two:v1 web']);
});

describe('oci://', () => {
  it('a chart is unpacked, its directory is the application', async () => {
    const source = await artifact('charts/nginx:1.0.0', 'application/vnd.cncf.helm.config.v1+json', [
      { mediaType: CHART, content: await packed(chartFiles('nginx')) },
      { mediaType: 'application/vnd.cncf.helm.chart.provenance.v1.prov', content: 'signature' },
    ]);
    expect(Object.keys(await files(source))).toEqual(['644 Chart.yaml', '644 templates/a.yaml', '644 values.yaml']);
    const dir = context(`FROM scratch\nAPP web ${source}\nLAUNCH web\n`);
    await mustSlipway(['build', '-q', '-t', 'chart:v1', '--type', 'app-installer', dir], { root });
    const { applications } = JSON.parse(await mustSlipway(['inspect', 'chart:v1', '--json'], { root })) as {
      applications: unknown;
    };
    expect(applications).toEqual([{ name: 'web', type: 'helm', files: ['web'], version: 'v1' }]);
    const again = await slipway(['build', '--type', 'app-installer', dir], { root });
    expect(again.stderr).toMatch(/\[1\/2\] cached/);
  });

  it('files of ORAS come under their titles, directories unpacked, whatever the config says', async () => {
    const parts = [
      { content: KUBE, annotations: { [TITLE]: 'ns.yaml' } },
      { content: KUBE, annotations: { [TITLE]: './deep/er/a.yaml' } },
      { content: 'no title' },
      {
        content: await packed({ 'conf/b.yaml': 'b' }),
        annotations: { [TITLE]: 'conf', 'io.deis.oras.content.unpack': 'true' },
      },
    ];
    const expected = { '644 conf/b.yaml': 'b', '644 deep/er/a.yaml': KUBE, '644 ns.yaml': KUBE };
    expect(await files(await artifact('files:v1', EMPTY, parts))).toEqual(expected);
    const old = 'application/vnd.oci.image.config.v1+json';
    expect(await files(await artifact('files:old', old, parts))).toEqual(expected);
  });

  it('of an image it is the rootfs, for the platform of the build; of the store when it is there', async () => {
    const full = `${registry.address}/rootfs:v1`;
    const amd64 = await putImage(artifacts, {
      layers: [{ 'a.yaml': 'amd64', 'gone.yaml': 'x' }, { '.wh.gone.yaml': '' }],
    });
    const arm64 = await putImage(artifacts, {
      layers: [{ 'a.yaml': 'arm64' }],
      platform: { os: 'linux', architecture: 'arm64' },
    });
    const index = await putIndex(artifacts, [
      [{ os: 'linux', architecture: 'amd64' }, amd64],
      [{ os: 'linux', architecture: 'arm64' }, arm64],
    ]);
    await artifacts.tag(full, index);
    await pushImage(artifacts, full);
    expect(await files(`oci://${full}`, {}, '--platform', 'linux/amd64')).toEqual({ '644 a.yaml': 'amd64' });
    expect(await failure(`oci://${full}`, {}, '--pull', 'never')).toMatch(/no image .*rootfs:v1.*--pull=never/);

    mkdirSync(join(home, 'image'), { recursive: true });
    writeFileSync(join(home, 'image/Kubefile'), '# dialect=docker\nFROM scratch\nCOPY x.yaml /\n');
    writeFileSync(join(home, 'image/x.yaml'), 'mine');
    await mustSlipway(['build', '-q', '-t', 'mine:v1', join(home, 'image')], { root });
    expect(await files('oci://mine:v1', {}, '--pull', 'never')).toEqual({ '644 x.yaml': 'mine' });
  });

  it('several sources lie upon each other', async () => {
    const one = await artifact('one:v1', EMPTY, [{ content: 'one', annotations: { [TITLE]: 'a.yaml' } }]);
    const two = await artifact('two:v1', EMPTY, [{ content: 'two', annotations: { [TITLE]: 'a.yaml' } }]);
    expect(await files(`${one} ${two}`)).toEqual({ '644 a.yaml': 'two' });
    expect(await files(`${two} ${one}`)).toEqual({ '644 a.yaml': 'one' });
  });

  it('what leads out of its directory, or is nothing, is refused', async () => {
    const outside = join(home, 'outside');
    mkdirSync(outside);
    const titles = ['../../evil', '/etc/evil', 'a/../../evil', '.'];
    for (const [index, title] of titles.entries()) {
      const source = await artifact(`evil:${index}`, EMPTY, [{ content: 'x', annotations: { [TITLE]: title } }]);
      expect(await failure(source)).toMatch(/leads out of its directory/);
    }
    // A link of one layer must not be followed by what another layer writes.
    const { pack } = await import('tar-stream');
    const tar = pack();
    tar.entry({ name: 'dir', type: 'symlink', linkname: outside });
    tar.finalize();
    const chunks: Buffer[] = [];
    for await (const chunk of tar) chunks.push(chunk as Buffer);
    const source = await artifact('evil:link', EMPTY, [
      {
        content: gzipSync(Buffer.concat(chunks)),
        annotations: { [TITLE]: 'dir', 'io.deis.oras.content.unpack': 'true' },
      },
      { content: 'x', annotations: { [TITLE]: 'dir/evil' } },
    ]);
    expect(await failure(source)).toMatch(/cannot copy the directory .* over the file or link/);
    expect(await must('find', [outside, '-type', 'f'])).toBe('');

    expect(await failure(await artifact('nothing:v1', EMPTY, [{ content: 'x' }]))).toMatch(/artifact without files/);
    const notChart = [{ mediaType: CHART, content: await packed({ 'a.yaml': KUBE }) }];
    expect(await failure(await artifact('bad:v1', EMPTY, notChart))).toMatch(/no packed chart/);
    const damaged = [{ mediaType: CHART, content: gzipSync('no tar').subarray(0, 12) }];
    expect(await failure(await artifact('bad:v2', EMPTY, damaged))).toMatch(/Kubefile:2:9: /);
    expect(await failure(`oci://${registry.address}/absent:v1`)).toMatch(/has no absent:v1/);
    expect(await failure('oci://UPPER/x')).toMatch(/invalid image name|cannot/);
  });
});

describe('https:// and http://', () => {
  let server: Server;
  let address: string;
  const asked: (string | undefined)[] = [];
  beforeAll(async () => {
    server = createServer((request, response) => {
      asked.push(request.headers.authorization);
      if (request.url?.startsWith('/absent') === true) response.writeHead(404);
      response.end(KUBE);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    address = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  afterAll(() => new Promise((resolve) => server.close(resolve)));

  it('a file comes under its name, with what else the application has, and is cached by content', async () => {
    const kubefile = `FROM scratch\nAPP web local://ns.yaml http://${address}/v1/deploy%20it.yaml?token=x\nLAUNCH web\n`;
    const dir = context(kubefile);
    writeFileSync(join(dir, 'ns.yaml'), KUBE);
    await mustSlipway(['build', '-q', '-t', 'url:v1', '--type', 'app-installer', dir], { root });
    const { applications } = JSON.parse(await mustSlipway(['inspect', 'url:v1', '--json'], { root })) as {
      applications: unknown;
    };
    expect(applications).toMatchObject([{ type: 'kube', files: ['ns.yaml', 'deploy it.yaml'] }]);
    expect(await files(`http://${address}/a.yaml`)).toEqual({ '644 a.yaml': KUBE });
    const again = await slipway(['build', '--type', 'app-installer', dir], { root });
    expect(again.stderr).toMatch(/\[1\/2\] cached/);
  });

  it('credentials reach the server, and neither the image nor what is printed', async () => {
    const dir = context(
      `FROM scratch\nARG PW\nAPP web http://me:$PW@${address}/a.yaml http://me:hunter22@${address}/b.yaml\n`,
    );
    asked.length = 0;
    const { stderr, code } = await slipway(
      ['build', '-t', 'secret:v1', '--type', 'app-installer', '--build-arg', 'PW=hunter33', dir],
      { root },
    );
    expect(code, stderr).toBe(0);
    expect(asked).toEqual(['hunter33', 'hunter22'].map((pw) => `Basic ${Buffer.from(`me:${pw}`).toString('base64')}`));
    const history = await mustSlipway(['history', 'secret:v1', '--json'], { root });
    expect(history).toContain('APP web');
    for (const text of [history, stderr]) expect(text).not.toMatch(/hunter/);
  });

  it('what is not there, or has no name, is told', async () => {
    expect(await failure(`http://${address}/absent.yaml`)).toMatch(/Kubefile:2:9: .*answered 404/);
    const dir = context(`FROM scratch\nAPP web http://${address}/\n`);
    const { code, stderr } = await slipway(['build', dir], { root });
    expect(code).toBe(2);
    expect(stderr).toMatch(/has no file name/);
  });
});

describe('helm://', () => {
  /** Container images would be looked for with "helm template". */
  const LITE = ['--build-mode', 'lite'];

  /** Stands for helm, which no package of the machines has: it notes how it was called and brings what it is told to. */
  function fakeHelm(script: string): NodeJS.ProcessEnv {
    const dir = join(home, `helm-${contexts}`);
    mkdirSync(dirname(join(dir, 'helm')), { recursive: true });
    writeFileSync(join(dir, 'helm'), `#!/bin/sh\n${script}\n`);
    chmodSync(join(dir, 'helm'), 0o755);
    return { PATH: `${dir}:${process.env.PATH}` };
  }

  it('asks helm for the chart, with the version that is named', async () => {
    const chart = join(home, 'nginx-1.2.3.tgz');
    writeFileSync(chart, await packed(chartFiles('nginx')));
    const calls = join(home, 'calls');
    const env = fakeHelm(`echo "$@" >> ${calls}; for last; do :; done; cp ${chart} "$last/"`);
    expect(Object.keys(await files('helm://charts.example.com/stable/nginx:1.2.3', env, ...LITE))).toContain(
      '644 Chart.yaml',
    );
    await files('helm://bitnami/nginx', env, ...LITE);
    expect(readFileSync(calls, 'utf8').replace(/\S*\/packed/g, 'DIR')).toBe(
      'pull nginx --repo https://charts.example.com/stable --version 1.2.3 --destination DIR\n' +
        'pull bitnami/nginx --destination DIR\n',
    );
  });

  it('tells what helm said, and that there is none', async () => {
    expect(await failure('helm://bitnami/nginx', fakeHelm('echo "Error: repo bitnami not found" >&2; exit 1'))).toMatch(
      /helm could not fetch the chart nginx of bitnami: Error: repo bitnami not found/,
    );
    const none = join(home, 'none');
    mkdirSync(none);
    expect(await failure('helm://bitnami/nginx', { PATH: `${none}:${dirname(process.execPath)}` })).toMatch(
      /Kubefile:2:9: .*with the program helm, and it is not installed[\s\S]*hint: .*local:\/\/.*oci:\/\//,
    );
  });
});

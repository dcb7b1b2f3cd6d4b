import { existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parsePlatform } from '../../../src/image/platform.js';
import type { ImageDescription } from '../../../src/store/describe.js';
import type { Store } from '../../../src/store/store.js';
import { mustSlipway, slipway } from '../../support/slipway.js';
import { tempDirectory } from '../../support/temp.js';
import { writeTree } from '../../support/write-tree.js';
import { type DockerRegistry, startDockerRegistry } from '../registry/support/docker-registry.js';
import { putImage, putIndex, tempStore } from '../registry/support/images.js';
import { must } from '../registry/support/programs.js';

const home = tempDirectory();
let registry: DockerRegistry;
let at: string;
let count = 0;

beforeAll(async () => {
  registry = await startDockerRegistry();
  at = registry.address;
  for (const name of ['web:1', 'web:2', 'pause:3', 'job:4', 'side:5', 'tool:6']) await publish(registry, name, name);
});
afterAll(() => registry.close());

/** Pushes an image of this content, for amd64 and arm64, with skopeo. @returns the digest of the amd64 manifest. */
async function publish(to: DockerRegistry, name: string, content: string): Promise<string> {
  const { store, close } = await tempStore();
  const digest = await putBoth(store, content);
  const target = `docker://${to.address}/team/${name}`;
  await must('skopeo', ['copy', '-q', '--all', '--dest-tls-verify=false', `oci:${store.root}:x:latest`, target]);
  await close();
  return digest;
}

async function putBoth(store: Store, content: string): Promise<string> {
  const amd64 = await putImage(store, { layers: [{ f: `${content} amd64` }], platform: parsePlatform('amd64') });
  const arm64 = await putImage(store, { layers: [{ f: `${content} arm64` }], platform: parsePlatform('arm64') });
  await store.tag(
    'x:latest',
    await putIndex(store, [
      [parsePlatform('amd64'), amd64],
      [parsePlatform('arm64'), arm64],
    ]),
  );
  return amd64.digest;
}

interface Bench {
  readonly root: string;
  readonly dir: string;
  build(...args: string[]): Promise<{ code: number | null; stdout: string; stderr: string }>;
  images(): Promise<string[]>;
}

/** A build context with a store of its own; all of `rootfs/` is copied to the root. */
function bench(files: Readonly<Record<string, string>>, kubefile = 'FROM scratch\nCOPY rootfs/ .\n', env = {}): Bench {
  const place = join(home, String(count++));
  const dir = join(place, 'context');
  const root = join(place, 'store');
  writeTree(dir, { Kubefile: kubefile, 'rootfs/Metadata': '{"version":"v1.29.2"}', ...files });
  return {
    root,
    dir,
    build: (...args) => slipway(['build', '-t', 'made:v1', '--progress', 'plain', ...args, dir], { root, env }),
    images: async () => {
      const described = JSON.parse(await mustSlipway(['inspect', 'made:v1', '--json'], { root })) as ImageDescription;
      return described.containerImages.map(({ image }) => image.replace(`${at}/team/`, ''));
    },
  };
}

const pod = (image: string): string =>
  `apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec:\n  containers:\n  - name: c\n    image: ${image}\n`;

describe('a build', () => {
  it('carries what lists and manifests ask for, and says which file and line asks', async () => {
    const { build, images } = bench({
      'rootfs/ImageList': `${at}/team/pause:3\n${at}/team/tool:6 linux/arm64\n`,
      'rootfs/manifests/imagelist': `${at}/team/web:1\n`,
      'rootfs/manifests/deep/pod.yaml': `${pod(`${at}/team/job:4`)}---\n${pod(`${at}/team/web:1`)}`,
      'rootfs/manifests/args.yaml': `${pod(`${at}/team/job:4`)}    args: [--image=${at}/team/side:5]\n`,
      'more.txt': `${at}/team/web:2\n`,
      'not.txt': '*/web:1\n',
    });
    const first = await build();
    expect(first.stderr).toContain(`${at}/team/pause:3  ImageList:1\n`);
    expect(first.stderr).toContain(`${at}/team/web:1  manifests/imagelist:1 (+1 more)\n`);
    expect(first.stderr).toContain(`${at}/team/job:4  manifests/args.yaml:7 (+1 more)\n`);
    expect(first.stderr).toMatch(/left out: \S+tool:6, only for linux\/arm64/);
    expect(first.code).toBe(0);
    expect(await images()).toEqual(['pause:3', 'web:1', 'job:4']);
    const dir = join(home, String(count - 1), 'context');
    const second = await build(
      '--images-from-args',
      ...['--image-list', join(dir, 'more.txt'), '--ignored-image-list', join(dir, 'not.txt')],
    );
    expect(second.code).toBe(0);
    expect(await images()).toEqual(['web:2', 'pause:3', 'job:4', 'side:5']);
  });

  it("takes the seeds' COPY ImageList manifests, also where that makes a file", async () => {
    const { build, images } = bench(
      { ImageList: `${at}/team/web:1\n` },
      'FROM scratch\nCOPY ImageList manifests\nBASE rootfs cache\n',
    );
    expect((await build()).code).toBe(0);
    expect(await images()).toEqual(['web:1']);
  });

  it('needs no registry for images that this machine has fetched once, whatever changed around them', async () => {
    const own = await startDockerRegistry();
    await publish(own, 'web:1', 'first');
    const { build, root, dir } = bench(
      { 'rootfs/manifests/pod.yaml': pod(`${own.address}/team/web:1`), other: 'a' },
      'FROM scratch\nCOPY other /etc/\nCOPY rootfs/ .\nBASE rootfs cache\n',
    );
    expect((await build()).code).toBe(0);
    await publish(own, 'web:1', 'second');
    await own.close();
    writeFileSync(join(dir, 'other'), 'b');
    const offline = await build();
    expect(offline.stderr).not.toMatch(/fetching/);
    expect(offline.code).toBe(0);
    // Another image list, in another build, that asks for the same image
    writeFileSync(
      join(dir, 'Kubefile'),
      `FROM scratch\nCOPY rootfs/ .\nRUN echo ${own.address}/team/web:1 > imageList\n`,
    );
    expect((await build('--pull', 'never')).code).toBe(0);
    // rmi collects what nothing needs; what builds have fetched stays until a prune
    await mustSlipway(['rmi', 'made:v1'], { root });
    expect((await build('--no-cache', '--pull', 'never')).code).toBe(0);
    const always = await build('--pull', 'always');
    expect(always.code).toBe(1);
    expect(always.stderr).toMatch(/manifests\/pod\.yaml:7|imageList:1/);
    await mustSlipway(['rmi', 'made:v1'], { root });
    await mustSlipway(['prune', '--build-cache'], { root });
    const forgotten = await build('--pull', 'never');
    expect(forgotten.stderr).toMatch(/web:1 is not on this machine, and --pull=never/);
    expect(forgotten.code).toBe(1);
  });

  it('notices a moved tag with --pull always, and only then', async () => {
    await publish(registry, 'moved:1', 'first');
    const { build, root } = bench({ 'rootfs/manifests/pod.yaml': pod(`${at}/team/moved:1`) });
    const digest = async (...args: string[]): Promise<string> => {
      expect((await build(...args)).code).toBe(0);
      return mustSlipway(['inspect', '-q', 'made:v1'], { root });
    };
    const first = await digest();
    await publish(registry, 'moved:1', 'second');
    expect(await digest()).toBe(first);
    const second = await digest('--pull', 'always');
    expect(second).not.toBe(first);
    expect(await digest()).toBe(second);
  });

  it('uses an image that was loaded or pulled by that name', async () => {
    const own = await startDockerRegistry();
    await publish(own, 'web:1', 'content');
    const { build, root, images } = bench({ 'rootfs/imageList': `${own.address}/team/web:1\n` });
    await mustSlipway(['pull', `${own.address}/team/web:1`], { root });
    await own.close();
    expect((await build()).code).toBe(0);
    expect(await images()).toEqual([`${own.address}/team/web:1`]);
  });
});

describe('the lock file', () => {
  it('pins what names stand for, for each platform, and a build refuses one that lacks an image', async () => {
    const digest = await publish(registry, 'locked:1', 'first');
    const { build, root, dir } = bench({ 'rootfs/imageList': `${at}/team/locked:1\n${at}/team/pause:3\n` });
    await mustSlipway(['images-in', '--lock', 'update', '--platform', 'linux/arm64', dir], { root });
    expect((await build('--lock', 'update')).code).toBe(0);
    const lock = readFileSync(join(dir, 'imageList.lock'), 'utf8');
    expect(lock).toMatch(
      new RegExp(
        `${at}/team/locked:1:\n    linux/amd64: ${digest}\n    linux/arm64: sha256:[a-f0-9]{64}\n  ${at}/team/pause:3:\n`,
      ),
    );
    const carried = await mustSlipway(['inspect', '-q', 'made:v1'], { root });
    const moved = await publish(registry, 'locked:1', 'second');
    // A machine that has never seen the image gets the first one, from the registry, by digest
    const fresh = `${root}-fresh`;
    await mustSlipway(['build', '-t', 'made:v1', dir], { root: fresh });
    const rootfs = await mustSlipway(['inspect', 'made:v1', '--rootfs'], { root: fresh });
    expect(rootfs).toContain(digest.slice('sha256:'.length));
    expect(rootfs).not.toContain(moved.slice('sha256:'.length));
    expect(rootfs).toMatch(/locked\/_manifests\/tags\/1\/current\/link/);
    const ids = async (store: string): Promise<string[]> =>
      (JSON.parse(await mustSlipway(['inspect', 'made:v1', '--json'], { root: store })) as ImageDescription).layers.map(
        ({ diffID }) => diffID,
      );
    expect(await ids(fresh)).toEqual(await ids(root));
    expect(carried).not.toBe('');

    writeFileSync(join(dir, 'rootfs/imageList'), `${at}/team/locked:1\n${at}/team/web:1\n${at}/team/web:2\n`);
    const stale = await build();
    expect(stale.code).toBe(1);
    expect(stale.stderr).toMatch(
      /imageList\.lock does not have for linux\/amd64:\n\s+\S+web:1, asked for by imageList:2\n\s+\S+web:2/,
    );
    expect((await build('--lock', 'ignore')).code).toBe(0);
    expect((await build('--lock', 'update')).code).toBe(0);
    const updated = readFileSync(join(dir, 'imageList.lock'), 'utf8');
    expect(updated).toContain(moved);
    expect(updated).toMatch(/pause:3:\n {4}linux\/arm64/); // another platform's: only amd64 was built
    expect(updated).not.toMatch(/pause:3:\n {4}linux\/amd64/);
    expect(readdirSync(dir).sort()).toEqual(['Kubefile', 'imageList.lock', 'rootfs']);
  });
});

describe('a chart', () => {
  const chart = {
    'Chart.yaml':
      'name: web\nversion: 1.0.0\nappVersion: "1"\ndependencies:\n- {name: db, condition: db.enabled}\n- {name: off, condition: off.enabled}\n',
    'values.yaml':
      'image: {repository: REG/team/web, tag: ""}\nside: {image: "REG/team/side:5"}\noff: {enabled: false}\ndb: {image: {tag: 4}}\n',
    'templates/pod.yaml':
      'apiVersion: v1\nkind: Pod\nspec:\n  containers:\n  - {name: a, image: "{{ .Values.image.repository }}:{{ .Chart.AppVersion }}"}\n  - name: b\n    image: REG/team/tool:6\n',
    'charts/db/Chart.yaml': 'name: db\nversion: 1.0.0\n',
    'charts/db/values.yaml': 'image: {registry: REG, repository: team/job, tag: 0}\n',
    'charts/off/Chart.yaml': 'name: off\nversion: 1.0.0\n',
    'charts/off/values.yaml': 'image: {registry: REG, repository: team/absent, tag: 0}\n',
  };
  const files = (dir: string): Record<string, string> =>
    Object.fromEntries(Object.entries(chart).map(([path, text]) => [`${dir}/${path}`, text.replaceAll('REG', at)]));

  /** A PATH on which there is no helm, also on a machine that has one. */
  const noHelm = {
    PATH: (process.env.PATH ?? '')
      .split(':')
      .filter((dir) => !existsSync(join(dir, 'helm')))
      .join(':'),
  };

  it('is read without helm: values, subcharts, overrides next to it, and plain lines; with a warning', async () => {
    const own = { ...files('rootfs/charts/web'), 'rootfs/charts/web.values.yaml': 'image: {tag: 2}\n' };
    const { build, images } = bench(own, undefined, noHelm);
    const { code, stderr } = await build('--charts', 'auto');
    expect(stderr).toMatch(/warning: there is no helm on PATH: \S*charts\/\S+ was read without rendering/);
    expect(stderr).toContain(`${at}/team/web:2  charts/web/values.yaml:1\n`);
    expect(stderr).toContain(`${at}/team/tool:6  charts/web/templates/pod.yaml:7\n`);
    expect(code).toBe(0);
    expect((await images()).sort()).toEqual(['job:4', 'side:5', 'tool:6', 'web:2']);
  });

  it('may be an archive; --charts ignore leaves it alone', async () => {
    const packed = join(home, 'packed');
    writeTree(packed, files('web'));
    const { build, images, dir } = bench({ 'rootfs/charts/readme.md': '# charts\n' });
    await must('tar', ['-czf', join(dir, 'rootfs/charts/web-1.0.0.tgz'), '-C', packed, 'web']);
    writeFileSync(join(dir, 'rootfs/charts/web.values.yaml'), 'image: {tag: 2}\ndb: {enabled: false}\n');
    writeFileSync(join(dir, 'rootfs/charts/broken.tgz'), 'this is no archive');
    const { code, stderr } = await build('--charts', 'scan');
    expect(stderr).toMatch(/warning: charts\/broken\.tgz: .*not searched for images/);
    expect(stderr).not.toContain('no helm');
    expect(code).toBe(0);
    expect((await images()).sort()).toEqual(['side:5', 'tool:6', 'web:2']);
    expect((await build('--charts', 'ignore')).code).toBe(0);
    expect(await images()).toEqual([]);
  });

  it('is rendered by the program helm, with the values next to it and without anything of the caller (stand-in for helm)', async () => {
    const bin = join(home, 'bin');
    mkdirSync(bin, { recursive: true });
    const standIn = fileURLToPath(new URL('../../support/helm-stand-in.mjs', import.meta.url));
    writeFileSync(join(bin, 'helm'), `#!/bin/sh\nexec ${process.execPath} ${standIn} "$@"\n`, { mode: 0o755 });
    const env = { PATH: `${bin}:${process.env.PATH}`, SECRET_OF_THE_CALLER: 'x', EXPECT_NO_NETWORK: '1' };
    const { build, images, dir } = bench(
      { ...files('rootfs/charts/web'), 'rootfs/charts/web.values.yaml': `image: {repository: ${at}/team/side}\n` },
      undefined,
      env,
    );
    writeFileSync(join(dir, 'rootfs/charts/web/Chart.yaml'), 'name: web\nversion: 1.0.0\nappVersion: "5"\n');
    const { code, stderr } = await build();
    expect(stderr).not.toMatch(/there is no helm|SECRET/);
    expect(stderr).toContain(`${at}/team/side:5  charts/web/templates/pod.yaml\n`);
    expect(code).toBe(0);
    expect((await images()).sort()).toEqual(['side:5', 'tool:6']);
    writeFileSync(join(dir, 'rootfs/charts/web/templates/extra.yaml'), 'image: {{ .Values.missing }}\n');
    const broken = await build();
    expect(broken.code).toBe(1);
    expect(broken.stderr).toMatch(/charts\/web: helm template ended with 1: Error: extra\.yaml: nil pointer/);
    expect(broken.stderr).toMatch(/hint: .*charts\/web\.values\.yaml/);
  });
});

describe('images-in', () => {
  it('shows what a context asks for without building: files, stages, heredocs, and where they come from', async () => {
    const { root, dir } = bench(
      { 'list.txt': 'web:1\n', 'pods/a.yaml': pod('job:4'), 'rootfs/manifests/b.yaml': pod('web:1') },
      `FROM scratch AS lists
COPY list.txt /imageList
FROM scratch
COPY rootfs/ .
COPY --from=lists --chown=65534 /imageList manifests/
COPY pods /manifests/pods/
COPY missing/* /manifests/
COPY <<EOF /manifests/here.yaml
${pod('here:7')}EOF
RUN wget https://example.com/more.yaml
ADD https://example.com/more.yaml /manifests/
BASE rootfs cache
COPY pods/a.yaml /manifests/after.yaml
`,
    );
    const { stdout, stderr, code } = await slipway(['images-in', dir], { root });
    expect(code).toBe(0);
    expect(stdout).toMatch(
      /docker\.io\/library\/web:1 +list\.txt:1 \(\+1 more\)|docker\.io\/library\/web:1 +manifests\/imageList:1 \(\+1 more\)/,
    );
    expect(stdout).toMatch(/docker\.io\/library\/job:4 +pods\/a\.yaml:7\n/);
    expect(stdout).toMatch(/docker\.io\/library\/here:7 +manifests\/here\.yaml:7\n/);
    expect(stderr).toMatch(/Kubefile:7: COPY missing\/\* \/manifests\/: passed over: /);
    expect(stderr).toMatch(/Kubefile:1\d: RUN wget .* not executed/);
    expect(stderr).toMatch(/Kubefile:1\d: ADD .* not fetched or unpacked/);
    expect(existsSync(join(root, 'cache', 'build'))).toBe(false);
    expect(readdirSync(join(root, 'blobs', 'sha256'))).toEqual([]);
    const why = await mustSlipway(['images-in', dir, '--why', 'web:1'], { root });
    expect(why).toContain(
      'rootfs/manifests/b.yaml:7 (manifests/b.yaml in the image)   Pod p, spec.containers[0].image\n',
    );
    const list = await mustSlipway(['images-in', dir, '--format', 'list'], { root });
    expect(list.split('\n').sort()).toEqual([
      '',
      'docker.io/library/here:7',
      'docker.io/library/job:4',
      'docker.io/library/web:1',
    ]);
    const unknown = await slipway(['images-in', dir, '--why', 'webb:1'], { root });
    expect(unknown.code).toBe(1);
    expect(unknown.stderr).toMatch(/did you mean docker\.io\/library\/web:1\?|lists what it asks for/);
  });

  it('shows what an image asks for, what it carries, and what is missing', async () => {
    const { build, root, dir } = bench({ 'rootfs/manifests/a.yaml': pod(`${at}/team/web:1`) });
    expect((await build()).code).toBe(0);
    writeTree(dir, { 'on/Kubefile': 'FROM made:v1\nCOPY b.yaml /manifests/\n', 'on/b.yaml': pod('missing:1') });
    await mustSlipway(['build', '--build-mode', 'lite', '-t', 'on:v1', join(dir, 'on')], { root });
    const { stdout, stderr } = await slipway(['images-in', 'on:v1'], { root });
    expect(stdout).toMatch(new RegExp(`${at}/team/web:1 +yes +manifests/a\\.yaml:7\n`));
    expect(stdout).toMatch(/docker\.io\/library\/missing:1 +MISSING +manifests\/b\.yaml:7\n/);
    expect(stderr).toMatch(/1 of 2 images are missing in registry\//);
    const json = JSON.parse(await mustSlipway(['images-in', 'on:v1', '--format', 'json'], { root })) as {
      images: { image: string; carried: boolean; places: { file: string; line: number; what: string }[] }[];
    };
    expect(json.images[1]).toEqual({
      image: 'docker.io/library/missing:1',
      carried: false,
      locked: null,
      places: [{ file: 'manifests/b.yaml', line: 7, what: 'Pod p, spec.containers[0].image' }],
    });
    // on a context, what the base image carries is told apart
    const context = await mustSlipway(['images-in', join(dir, 'on')], { root });
    expect(context).toMatch(/web:1 +yes[\s\S]*missing:1 +no/);
  });
});

describe('a rootfs made by somebody hostile', () => {
  it('costs no more than a warning: FIFOs, circles of links, huge files, ten thousand manifests', async () => {
    const { build, images, dir } = bench({ 'rootfs/manifests/pod.yaml': pod(`${at}/team/web:1`) });
    const manifests = join(dir, 'rootfs/manifests');
    await must('mkfifo', [join(manifests, 'fifo.yaml')]);
    symlinkSync('loop.yaml', join(manifests, 'loop.yaml'));
    symlinkSync('..', join(manifests, 'up'));
    symlinkSync('/etc/passwd', join(manifests, 'passwd.yaml'));
    symlinkSync('pod.yaml', join(manifests, 'link.yaml'));
    writeFileSync(join(manifests, 'huge.yaml'), pod('huge:1'));
    truncateSync(join(manifests, 'huge.yaml'), 100 * 1024 * 1024);
    mkdirSync(join(manifests, 'many'));
    for (let n = 0; n < 10_000; n++) writeFileSync(join(manifests, 'many', `${n}.yaml`), pod(`${at}/team/job:4`));
    const { code, stderr } = await build();
    expect(stderr).toMatch(/warning: manifests\/huge\.yaml has 105MB: .*image list/);
    expect(stderr).toContain(`${at}/team/job:4  manifests/many/0.yaml:7 (+9999 more)\n`);
    expect(stderr).toContain(`${at}/team/web:1  manifests/link.yaml:7 (+1 more)\n`);
    expect(code).toBe(0);
    expect((await images()).sort()).toEqual(['job:4', 'web:1']);
  });
});

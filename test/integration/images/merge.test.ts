import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { pushImage } from '../../../src/registry/push.js';
import type { ImageDescription } from '../../../src/store/describe.js';
import { mustSlipway, slipway } from '../../support/slipway.js';
import { tempDirectory } from '../../support/temp.js';
import { listTree } from '../../support/tree.js';
import { type DockerRegistry, startDockerRegistry } from '../registry/support/docker-registry.js';
import { putImage, tempStore } from '../registry/support/images.js';
import { must } from '../registry/support/programs.js';
import { unpackElsewhere } from './unpacked.js';

const home = tempDirectory();
const root = join(home, 'store');
let registry: DockerRegistry;
let count = 0;

beforeAll(async () => {
  registry = await startDockerRegistry();
  const { store, close } = await tempStore();
  const common = { 'usr/common': 'shared by both' };
  for (const [name, layers] of [
    ['team/pause:1', [{ pause: 'x' }]],
    ['team/web:1', [common, { web: 'x' }]],
    ['team/db:1', [common, { db: 'x' }]],
    ['team/web:2', [common, { web: 'y' }]],
  ] as const) {
    await store.tag(`${registry.address}/${name}`, await putImage(store, { layers: [...layers] }));
    await pushImage(store, `${registry.address}/${name}`);
  }
  await close();
});
afterAll(() => registry.close());

function context(kubefile: string, files: Readonly<Record<string, string>>): string {
  const dir = join(home, `context-${count++}`);
  for (const [path, content] of Object.entries({ ...files, Kubefile: kubefile })) {
    mkdirSync(dirname(join(dir, path)), { recursive: true });
    writeFileSync(join(dir, path), content);
  }
  return dir;
}

async function build(
  name: string,
  type: string,
  kubefile: string,
  files: Readonly<Record<string, string>> = {},
): Promise<string> {
  await mustSlipway(['build', '-q', '--type', type, '-t', name, context(kubefile, files)], { root });
  return name;
}

async function inspect(name: string): Promise<ImageDescription> {
  return JSON.parse(await mustSlipway(['inspect', '--json', name], { root })) as ImageDescription;
}

const cluster = (name: string, version = 'v1.29.2', images = 'team/pause:1') =>
  build(
    name,
    'kube-installer',
    'FROM scratch\nCOPY rootfs/* .\nCOPY imageList manifests/\nBASE rootfs cache\nENV A=1\nCMD first\n',
    {
      'rootfs/bin/kubeadm': 'x',
      'rootfs/etc/a': 'x',
      'rootfs/scripts/init.sh': 'x',
      'rootfs/Metadata': `{"version":"${version}","ClusterRuntime":"k8s","own":1}`,
      imageList: `${registry.address}/${images}\n`,
    },
  );

const application = (name: string, app: string, images: string, metadata = '{"kubeVersion":">=1.24"}') =>
  build(
    name,
    'app-installer',
    `FROM scratch\nCOPY . .\nCOPY imageList manifests/\nBASE rootfs cache\nENV ${app.toUpperCase()}=1\nLABEL ${app}=1\nAPP ${app} local://app\nCMD start ${app}\n`,
    {
      [`etc/${app}.conf`]: app,
      'app/app.yaml': 'kind: Service\napiVersion: v1\n',
      Metadata: metadata,
      '.dockerignore': 'Kubefile\nimageList2\n',
      imageList: images
        .split(' ')
        .map((image) => `${registry.address}/${image}\n`)
        .join(''),
    },
  );

describe('slipway merge', () => {
  test('stacks a cluster and two applications, without copying a layer', async () => {
    const [k8s, web, db] = [
      await cluster('merge/k8s:v1'),
      await application('merge/web:v1', 'web', 'team/web:1 team/pause:1'),
      await application('merge/db:v1', 'db', 'team/db:1', '{"kubeVersion":"<1.30"}'),
    ];
    await mustSlipway(['merge', '-t', 'merge/all:v1', k8s, web, db, '--force'], { root });
    const [merged, ...parts] = await Promise.all(['merge/all:v1', k8s, web, db].map(inspect));
    if (merged === undefined) throw new Error('nothing was merged');
    expect(merged.type).toBe('kube-installer');
    expect(merged.metadata).toMatchObject({
      version: 'v1.29.2',
      ClusterRuntime: 'k8s',
      kubeVersion: '>=1.24.0 <1.30.0-0',
      own: 1,
      arch: 'amd64',
    });
    expect(merged.labels).toMatchObject({
      web: '1',
      db: '1',
      'cluster.alpha.sealer.io/cluster-runtime-version': 'v1.29.2',
    });
    expect(merged.env.filter((line) => !line.startsWith('PATH='))).toEqual(['A=1', 'WEB=1', 'DB=1']);
    expect(merged.launch.cmds).toEqual(['first', 'start web', 'start db']);
    expect(merged.applications.map(({ name }) => name)).toEqual(['web', 'db']);
    expect(merged.containerImages.map(({ image }) => image.split('/').slice(1).join('/'))).toEqual([
      'team/pause:1',
      'team/web:1',
      'team/db:1',
    ]);

    const known = new Set(parts.flatMap(({ layers }) => layers.map(({ digest }) => digest)));
    const own = merged.layers.filter(({ digest }) => !known.has(digest));
    expect(own.map(({ instruction }) => instruction)).toEqual([`MERGE ${k8s} ${web} ${db}`]);
    expect(own[0]?.unpackedSize).toBeLessThan(20_000);
    // the blobs of pause:1, which both carry, are there once
    expect(new Set(merged.layers.map(({ diffID }) => diffID)).size).toBe(merged.layers.length);

    const rootfs = await unpackElsewhere(root, 'merge/all:v1', join(home, 'all'));
    const files = listTree(rootfs).map((line) => line.split(' ', 1)[0]);
    for (const file of [
      'bin/kubeadm',
      'etc/a',
      'etc/web.conf',
      'etc/db.conf',
      'application/apps/web',
      'application/apps/db',
    ])
      expect(files).toContain(file);
    const list = readFileSync(join(rootfs, 'manifests/imageList'), 'utf8')
      .replaceAll(registry.address, 'R')
      .trim()
      .split('\n');
    expect(list).toEqual(['R/team/pause:1', 'R/team/web:1', 'R/team/db:1']);
    expect(JSON.parse(readFileSync(join(rootfs, 'Metadata'), 'utf8'))).toEqual(merged.metadata);

    const served = await startDockerRegistry({ storage: join(rootfs, 'registry') });
    try {
      for (const image of ['pause:1', 'web:1', 'db:1']) {
        const digest = async (address: string) =>
          must('skopeo', [
            'inspect',
            '--tls-verify=false',
            '--format',
            '{{.Digest}}',
            `docker://${address}/team/${image}`,
          ]);
        expect(await digest(served.address)).toBe(await digest(registry.address));
        await must('skopeo', [
          'copy',
          '--src-tls-verify=false',
          `docker://${served.address}/team/${image}`,
          `dir:${join(home, `got-${image}`)}`,
        ]);
      }
    } finally {
      await served.close();
    }
    expect(await mustSlipway(['prune'], { root })).toBeDefined();
    expect((await slipway(['mount', 'merge/all:v1'], { root })).code).toBe(0);
    await mustSlipway(['umount', '--all'], { root });
  });

  test('of one base nothing is there twice, and what each changed stays changed', async () => {
    const base = await cluster('merge/base:v1');
    const one = await build('merge/one:v1', 'kube-installer', `FROM ${base}\nRUN rm etc/a\nCMD second\n`);
    const two = await build('merge/two:v1', 'kube-installer', `FROM ${base}\nRUN echo y >bin/y\nCMD third\n`);
    await mustSlipway(['merge', '-q', '-t', 'merge/both:v1', one, two], { root });
    const merged = await inspect('merge/both:v1');
    expect(merged.layers).toHaveLength((await inspect(one)).layers.length + 1);
    expect(merged.launch.cmds).toEqual(['first', 'second', 'third']);
    const difference = await mustSlipway(['diff', '-q', one, 'merge/both:v1'], { root });
    expect(difference).toBe('bin/y\n');
    const again = await mustSlipway(['merge', '-q', '-t', 'merge/both:v2', one, two], { root });
    expect(again.trim()).toBe(merged.digest);
    await mustSlipway(['merge', '-q', '-t', 'merge/same:v1', base, base], { root });
    expect((await inspect('merge/same:v1')).layers).toEqual((await inspect(base)).layers);
  });

  test('what contradicts itself is listed, and nothing is tagged; forced, the later one wins', async () => {
    const k8s = await cluster('merge/old:v1');
    const other = await cluster('merge/new:v1', 'v1.30.0', 'team/web:1');
    const app = await build('merge/bad:v1', 'app-installer', 'FROM scratch\nCOPY . .\nENV A=2\n', { 'etc/a': 'other' });
    const refused = await slipway(['merge', '--json', '-t', 'merge/no:v1', k8s, other, app], { root });
    expect(refused.code).toBe(1);
    const { error } = JSON.parse(refused.stderr.trim().split('\n').at(-1) ?? '') as {
      error: {
        code: string;
        details: { conflicts: { kind: string; subject: string; earlier: string; later: string }[] };
      };
    };
    expect(error.code).toBe('E_CONFLICT');
    expect(
      error.details.conflicts.map(({ kind, subject, earlier, later }) => `${kind} ${subject} ${earlier} ${later}`),
    ).toEqual([
      'runtime the version of Kubernetes merge/old:v1 merge/new:v1',
      'env A merge/new:v1 merge/bad:v1',
      'file etc/a merge/new:v1 merge/bad:v1',
    ]);
    expect((await slipway(['inspect', 'merge/no:v1'], { root })).code).toBe(1);
    const forced = await slipway(['merge', '--force', '-t', 'merge/yes:v1', k8s, other, app], { root });
    expect(forced.code).toBe(0);
    expect(forced.stderr).toContain('etc/a: different content');
    expect((await inspect('merge/yes:v1')).metadata?.version).toBe('v1.30.0');
    const rootfs = await unpackElsewhere(root, 'merge/yes:v1', join(home, 'yes'));
    expect(readFileSync(join(rootfs, 'etc/a'), 'utf8')).toBe('other');
  });

  test('one name for two container images is a conflict', async () => {
    const one = await application('merge/w1:v1', 'web', 'team/web:1');
    const { store, close } = await tempStore();
    const name = `${registry.address}/team/web:1`;
    await store.tag(name, await putImage(store, { layers: [{ web: 'changed' }] }));
    await pushImage(store, name);
    await close();
    // built where the old one has never been seen
    const two = `${registry.address}/merge/w2:v1`;
    const dir = context('FROM scratch\nCOPY imageList manifests/\nBASE rootfs cache\n', { imageList: `${name}\n` });
    const other = { root: join(home, 'other-store') };
    await mustSlipway(['build', '-q', '--type', 'app-installer', '-t', two, dir], other);
    await mustSlipway(['push', '-q', two], other);
    const { stderr } = await slipway(['merge', '-t', 'merge/no:v2', one, two], { root });
    expect(stderr).toMatch(
      /container image team\/web:1: the same name for different images \(merge\/w1:v1, .*merge\/w2:v1\)/,
    );
  });

  test('several platforms, images that are elsewhere, and wrong usage', async () => {
    const dir = context('# dialect=docker\nFROM scratch\nARG TARGETARCH\nCOPY ${TARGETARCH} /\n', {
      'amd64/a': '1',
      'arm64/a': '2',
    });
    const name = `${registry.address}/merge/multi:v1`;
    await mustSlipway(['build', '-q', '--platform', 'linux/amd64,linux/arm64', '-t', name, dir], { root });
    await mustSlipway(['push', name], { root });
    const other = await build('merge/plain:v1', 'app-installer', 'FROM scratch\nCOPY b .\n', { b: 'x' });
    await mustSlipway(['rmi', name], { root });
    await mustSlipway(['merge', '-t', 'merge/pulled:v1', name, other], { root });
    expect(
      (await slipway(['merge', '--pull', 'never', '-t', 'x:v1', 'merge/absent:v1', other], { root })).stderr,
    ).toMatch(/merge\/absent:v1/);
    const many = ['merge', '--platform', 'linux/amd64,linux/arm64', '-t', 'merge/multi:v2', name, name];
    await mustSlipway(many, { root });
    const images = JSON.parse(await mustSlipway(['images', '--json', 'merge/multi:v2'], { root }));
    expect(images[0]?.platforms).toEqual(['linux/amd64', 'linux/arm64']);
    expect((await slipway(['merge', other, other], { root })).code).toBe(2);
    expect((await slipway(['merge', '-t', 'x:v1', other], { root })).code).toBe(2);
  });
});

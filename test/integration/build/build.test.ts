import {
  chmodSync,
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parsePlatform } from '../../../src/image/platform.js';
import { pushImage } from '../../../src/registry/push.js';
import type { ImageDescription } from '../../../src/store/describe.js';
import { mustSlipway, slipway } from '../../support/slipway.js';
import { tempDirectory } from '../../support/temp.js';
import { listTree } from '../../support/tree.js';
import { type DockerRegistry, startDockerRegistry } from '../registry/support/docker-registry.js';
import { putImage, putIndex, tempStore } from '../registry/support/images.js';
import { must } from '../registry/support/programs.js';

const home = tempDirectory();
const root = join(home, 'store');
let registry: DockerRegistry;

beforeAll(async () => {
  registry = await startDockerRegistry();
});
afterAll(async () => {
  for (const store of readdirSync(home).filter((name) => name.startsWith('store')))
    await mustSlipway(['umount', '--all'], { root: join(home, store) });
  await registry.close();
});

/** A build context of these files. */
function context(name: string, files: Readonly<Record<string, string>>): string {
  const dir = join(home, 'contexts', name);
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(dir, path)), { recursive: true });
    writeFileSync(join(dir, path), content);
  }
  return dir;
}

/** The seeds' layout: rootfs/, amd64/, imageList. */
function seedContext(name: string, kubefile: string, extra: Readonly<Record<string, string>> = {}): string {
  return context(name, {
    Kubefile: kubefile,
    'rootfs/etc/config': 'key=value\n',
    'rootfs/scripts/init.sh': '#!/bin/bash\n',
    'amd64/bin/kubectl': 'binary',
    'amd64/Metadata': '{"version":"v1.20.2"}',
    ...extra,
  });
}

const SEED = 'FROM scratch\nCOPY rootfs/* .\nCOPY ${ARCH} .\n';

async function inspect(name: string): Promise<ImageDescription> {
  return JSON.parse(await mustSlipway(['inspect', name, '--json'], { root })) as ImageDescription;
}

async function build(name: string, dir: string, ...args: string[]): Promise<string> {
  return mustSlipway(['build', '-t', name, '-q', ...args, dir], { root });
}

describe('an image of ours', () => {
  it('is the same tree for umoci, for skopeo and mounted by us', async () => {
    const dir = seedContext(
      'witness',
      `${SEED}RUN rm etc/config && ln -s ../bin/kubectl etc/link && mkdir -m 1777 tmp\nCMD kubectl get nodes\n`,
    );
    chmodSync(join(dir, 'amd64/bin/kubectl'), 0o751);
    symlinkSync('kubectl', join(dir, 'amd64/bin/k'));
    linkSync(join(dir, 'amd64/bin/kubectl'), join(dir, 'amd64/bin/kube'));
    utimesSync(join(dir, 'rootfs/scripts/init.sh'), 1e9, 1e9);
    const name = `${registry.address}/seed/witness:v1`;
    await build(name, dir);
    await mustSlipway(['push', name], { root });

    const layout = join(home, 'witness.oci');
    await must('skopeo', ['copy', '--src-tls-verify=false', `docker://${name}`, `oci:${layout}:v1`]);
    await must('umoci', ['unpack', '--image', `${layout}:v1`, join(home, 'bundle')]);
    const mounted = (await mustSlipway(['mount', name], { root })).trim();
    const ours = listTree(mounted);
    expect(ours).toEqual(listTree(join(home, 'bundle', 'rootfs')));
    expect(ours.map((line) => line.split(' ', 1)[0])).toEqual([
      'Metadata',
      'bin',
      'bin/k',
      'bin/kube',
      'bin/kubectl',
      'etc',
      'etc/link',
      'scripts',
      'scripts/init.sh',
      'tmp',
    ]);
    expect(ours.find((line) => line.startsWith('bin/kube '))).toMatch(/0751 0:0 file \w+ links=2/);
  });

  it('is described as it was made', async () => {
    const dir = seedContext(
      'describe',
      `${SEED}ENV A=1\nLABEL team=edge\nRUN echo x > etc/y\nCMD kubectl apply -f a.yaml\nCMD ["echo","two words"]\n`,
    );
    await build('describe:v1', dir);
    const image = await inspect('describe:v1');
    expect(Object.keys(image)).toEqual([
      'name',
      'digest',
      'mediaType',
      'type',
      'platform',
      'platforms',
      'created',
      'size',
      'content',
      'metadata',
      'labels',
      'env',
      'process',
      'launch',
      'applications',
      'containerImages',
      'layers',
    ]);
    expect(image).toMatchObject({
      name: 'describe:v1',
      type: 'kube-installer',
      platform: { os: 'linux', architecture: 'amd64' },
      metadata: { version: 'v1.20.2', arch: 'amd64', ClusterRuntime: 'k8s' },
      labels: {
        team: 'edge',
        'cluster.alpha.sealer.io/cluster-runtime-type': 'kubernetes',
        'cluster.alpha.sealer.io/cluster-runtime-version': 'v1.20.2',
      },
      env: ['A=1'],
      launch: { cmds: ['kubectl apply -f a.yaml', "echo 'two words'"], apps: [] },
    });
    expect(image.layers.map(({ index, type, instruction, files }) => [index, type, instruction, files])).toEqual([
      [0, 'COPY', 'COPY rootfs/* .', 2],
      [1, 'COPY', 'COPY ${ARCH} .', 2],
      [2, 'RUN', 'RUN echo x > etc/y', 1],
      [3, 'COPY', 'COPY Metadata Metadata (completed by the build)', 1],
    ]);
  });

  it('is readable in the store by skopeo under its own name', async () => {
    await build('layout:v1', seedContext('layout', SEED));
    const seen = JSON.parse(await must('skopeo', ['inspect', `oci:${root}:layout:v1`])) as { Digest: string };
    expect(seen.Digest).toBe((await inspect('layout:v1')).digest);
  });

  it('is built on an image that buildah pushed', async () => {
    const base = `${registry.address}/base:v1`;
    const storage = [
      '--root',
      join(home, 'buildah'),
      '--runroot',
      join(home, 'buildah-run'),
      '--storage-driver',
      'vfs',
    ];
    const dir = context('buildah', {
      Dockerfile: 'FROM scratch\nCOPY bin /bin\nENV FROM_BASE=yes\nLABEL base=buildah\n',
      'bin/tool': 'tool',
    });
    await must('buildah', [...storage, 'bud', '-q', '--isolation', 'chroot', '-t', base, dir]);
    await must('buildah', [...storage, 'push', '-q', '--tls-verify=false', base]);
    await build('on-buildah:v1', context('on-buildah', { Kubefile: `FROM ${base}\nCOPY extra /bin/\n`, extra: 'x' }));
    const image = await inspect('on-buildah:v1');
    expect(image).toMatchObject({ env: expect.arrayContaining(['FROM_BASE=yes']), labels: { base: 'buildah' } });
    const files = await mustSlipway(['inspect', '--rootfs', 'on-buildah:v1'], { root });
    expect(files).toMatch(/bin\/extra\n.*bin\/tool/);
  });
});

describe('RUN', () => {
  it('takes heredocs: for the shell, as a whole script, and as a script with an interpreter of its own', async () => {
    const kubefile = `FROM scratch
RUN mkdir etc && cat <<EOF > etc/first
one $HOME
EOF
RUN <<EOF
mkdir -p bin
echo two > etc/second
EOF
RUN <<EOF
#!/usr/bin/perl
open(my $file, '>', 'etc/third');
print $file 'three';
EOF
`;
    await build('heredocs:v1', context('heredocs', { Kubefile: kubefile }));
    const rootfs = (await mustSlipway(['mount', 'heredocs:v1'], { root })).trim();
    expect(
      ['first', 'second', 'third'].map((name) => readFileSync(join(rootfs, 'etc', name), 'utf8').split(' ', 1)[0]),
    ).toEqual(['one', 'two\n', 'three']);
    expect(readdirSync(rootfs).sort()).toEqual(['bin', 'etc']);
  });

  it('leaves out the sockets that a daemon left behind', async () => {
    const kubefile = `FROM scratch
RUN perl -MIO::Socket::UNIX -e 'IO::Socket::UNIX->new(Local => "agent.sock", Listen => 1) or die' && test -S agent.sock && echo x > kept
`;
    await build('sockets:v1', context('sockets', { Kubefile: kubefile }));
    const rootfs = (await mustSlipway(['mount', 'sockets:v1'], { root })).trim();
    expect(readdirSync(rootfs)).toEqual(['kept']);
  });

  it('is refused when it makes what could not be unpacked again', async () => {
    const deep = 'i=0; while [ $i -lt 300 ]; do mkdir d; cd -P d; i=$((i+1)); done';
    const { code, stderr } = await slipway(
      ['build', '-t', 'deep:v1', context('deep', { Kubefile: `FROM scratch\nRUN ${deep}\n` })],
      { root },
    );
    expect(code).toBe(1);
    expect(stderr).toMatch(/Kubefile:2:1: .* cannot be in an image: it is 256 directories deep/);
  });

  it('runs in the rootfs as a container when it has the shell', async () => {
    const dir = context('container', {
      Kubefile: 'FROM scratch\nCOPY busybox /bin/sh\nRUN echo $0 > /made && ls / > /seen\n',
    });
    await must('cp', ['/bin/busybox', join(dir, 'busybox')]);
    await build('container:v1', dir);
    const rootfs = (await mustSlipway(['mount', 'container:v1'], { root })).trim();
    expect(readFileSync(join(rootfs, 'seen'), 'utf8').split('\n')).toContain('made');
    expect(readdirSync(rootfs).sort()).toEqual(['bin', 'made', 'seen']);
  });
});

describe('BASE', () => {
  it('carries the container images of manifests/imageList, one layer each, for the cluster registry to serve', async () => {
    for (const name of ['pause:3.2', 'web:1.0']) {
      const dir = context(`component-${name}`, {
        Kubefile: '# dialect=docker\nFROM scratch\nCOPY program /program\nENTRYPOINT ["/program"]\n',
        program: name,
      });
      await build(`${registry.address}/library/${name}`, dir);
      await mustSlipway(['push', `${registry.address}/library/${name}`], { root });
      expect((await inspect(`${registry.address}/library/${name}`)).type).toBe('image');
    }
    writeFileSync(
      join(root, 'config.yaml'),
      `registries:\n  mirrors:\n    docker.io: ["${registry.address}"]\n    k8s.example.com: ["${registry.address}/library"]\n`,
    );
    const dir = seedContext('base', `${SEED}COPY imageList manifests/\nBASE rootfs cache\n`, {
      imageList: '# what runs here\ndocker.io/library/web:1.0\nk8s.example.com/pause:3.2\n',
    });
    await build('base:v1', dir);
    const image = await inspect('base:v1');
    expect(image.containerImages.map(({ image: name }) => name).sort()).toEqual([
      'docker.io/library/web:1.0',
      'k8s.example.com/pause:3.2',
    ]);
    const base = image.layers.filter(({ type }) => type === 'BASE');
    expect(base.map(({ instruction }) => instruction)).toEqual([
      'BASE rootfs cache (docker.io/library/web:1.0)',
      'BASE rootfs cache (k8s.example.com/pause:3.2)',
      'BASE rootfs cache (container image names)',
    ]);
    expect(new Set(base.map(({ mediaType }) => mediaType))).toEqual(
      new Set(['application/vnd.oci.image.layer.v1.tar']),
    );

    // Docker's own registry, started on the image's registry/, serves them under their upstream names
    const rootfs = (await mustSlipway(['mount', 'base:v1'], { root })).trim();
    const storage = join(home, 'cluster-registry');
    await must('cp', ['-a', join(rootfs, 'registry'), storage]);
    const cluster = await startDockerRegistry({ storage });
    try {
      for (const name of ['library/web:1.0', 'pause:3.2']) {
        await must('skopeo', [
          'copy',
          '--src-tls-verify=false',
          `docker://${cluster.address}/${name}`,
          `dir:${join(home, name.replace(/\W/g, '-'))}`,
        ]);
      }
    } finally {
      await cluster.close();
    }
  });

  it('carries an image that is named by the digest of an index so that it is found under that digest', async () => {
    const multi = `${registry.address}/multi/tool`;
    const { store, close } = await tempStore();
    const amd64 = await putImage(store, { layers: [{ f: 'amd64' }], platform: parsePlatform('amd64') });
    const arm64 = await putImage(store, { layers: [{ f: 'arm64' }], platform: parsePlatform('arm64') });
    const index = await putIndex(store, [
      [parsePlatform('amd64'), amd64],
      [parsePlatform('arm64'), arm64],
    ]);
    await store.tag(`${multi}:v1`, index);
    await pushImage(store, `${multi}:v1`);
    await close();
    const dir = seedContext('pinned', `${SEED}COPY imageList manifests/\nBASE rootfs cache\n`, {
      imageList: `${multi}:v1@${index.digest}\n`,
    });
    await build('pinned:v1', dir);
    const storage = join(home, 'pinned-registry');
    const rootfs = (await mustSlipway(['mount', 'pinned:v1'], { root })).trim();
    await must('cp', ['-a', join(rootfs, 'registry'), storage]);
    const cluster = await startDockerRegistry({ storage });
    try {
      // as a container runtime does: the index by its digest, then the image of its platform
      const to = `dir:${join(home, 'pinned')}`;
      const from = `docker://${cluster.address}/multi/tool@${index.digest}`;
      await must('skopeo', [
        'copy',
        '--src-tls-verify=false',
        '--override-arch',
        'amd64',
        '--override-os',
        'linux',
        from,
        to,
      ]);
      expect(readFileSync(join(home, 'pinned/manifest.json'), 'utf8')).toContain('config');
    } finally {
      await cluster.close();
    }
  });

  it('says which line of the list cannot be had, and builds nothing', async () => {
    const dir = seedContext('base-missing', `${SEED}COPY imageList manifests/\nBASE rootfs cache\n`, {
      imageList: `${registry.address}/absent:v1\n`,
    });
    const { code, stderr } = await slipway(['build', '-t', 'base-missing:v1', dir], { root });
    expect(code).toBe(1);
    expect(stderr).toMatch(/Kubefile:5:1: manifests\/imageList:1: .*absent:v1/);
    expect(await mustSlipway(['images', 'base-missing'], { root })).not.toContain('base-missing');
  });
});

describe('the cache', () => {
  it('gives the same image again, also when files were only touched, and notices every real change', async () => {
    const dir = seedContext('cache', `${SEED}ARG WHO=a\nRUN echo $WHO > etc/who\n`);
    const first = await build('cache:v1', dir);
    expect(await build('cache:v1', dir)).toBe(first);
    const now = new Date();
    utimesSync(join(dir, 'rootfs/etc/config'), now, now);
    expect(await build('cache:v1', dir)).toBe(first);
    expect(await build('cache:v1', dir, '--build-arg', 'WHO=b')).not.toBe(first);
    expect(await build('cache:v1', dir)).toBe(first);
    chmodSync(join(dir, 'rootfs/etc/config'), 0o600);
    const changed = await build('cache:v1', dir);
    expect(changed).not.toBe(first);
    writeFileSync(join(dir, 'rootfs/etc/config'), 'key=other\n');
    expect(await build('cache:v1', dir)).not.toBe(changed);
  });

  it('is shared by two builds at once, which do not break each other', async () => {
    const dir = seedContext('twice', `${SEED}RUN echo x > etc/x\n`);
    const both = await Promise.all([build('twice:a', dir), build('twice:b', dir)]);
    expect(both.every((digest) => digest.startsWith('sha256:'))).toBe(true);
    const [a, b] = [await inspect('twice:a'), await inspect('twice:b')];
    expect(a.layers.slice(0, 2).map(({ diffID }) => diffID)).toEqual(b.layers.slice(0, 2).map(({ diffID }) => diffID));
  });
});

describe('bad input', () => {
  it('five mistakes are five errors, exit 2, and nothing is built', async () => {
    const dir = context('five', { Kubefile: 'FROM scratch\nCOPPY a b\nCOPY onlyone\nENV\nRUN --bogus x\nWORKDIR\n' });
    const { code, stderr } = await slipway(['build', '-t', 'five:v1', dir], { root });
    expect(code).toBe(2);
    expect(stderr.match(/Kubefile:\d+:\d+: /g)).toEqual(
      ['Kubefile:2:1: ', 'Kubefile:3:', 'Kubefile:4:', 'Kubefile:5:', 'Kubefile:6:'].map((start) =>
        expect.stringContaining(start),
      ),
    );
    expect(stderr).toContain('COPY?');
    expect(await mustSlipway(['images', 'five'], { root })).not.toContain('five');
  });

  it.each([
    [
      'a missing source',
      'FROM scratch\nCOPY rootfs/script .\n',
      [],
      /Kubefile:2:6: rootfs\/script is not in the build context[\s\S]*did you mean rootfs\/scripts\?/,
    ],
    ['a base image that is not there', 'FROM 127.0.0.1:1/none:v1\n', [], /Kubefile:1:6: .*127\.0\.0\.1:1/],
    ['--pull=never', 'FROM none:v1\n', ['--pull', 'never'], /--pull=never forbids/],
    [
      'a command that fails',
      'FROM scratch\nRUN echo why; exit 7\n',
      [],
      /Kubefile:2:1: the command ended with exit code 7[\s\S]*\| why/,
    ],
    [
      'Metadata for another architecture',
      'FROM scratch\nCOPY arm/ .\n',
      [],
      /Metadata: arch is arm64, but the image is built for amd64/,
    ],
    ['an unknown runtime', 'FROM scratch\nCOPY rke/ .\n', [], /ClusterRuntime/],
  ])('%s', async (_what, kubefile, args, message) => {
    const dir = seedContext('bad', kubefile, {
      'arm/Metadata': '{"arch":"arm64"}',
      'rke/Metadata': '{"ClusterRuntime":"rke2"}',
    });
    const { code, stderr, stdout } = await slipway(['build', '-t', 'bad:v1', ...args, dir], { root });
    expect(stderr).toMatch(message);
    expect(code).toBe(1);
    expect(stdout).toBe('');
    expect(await mustSlipway(['images', 'bad'], { root })).not.toContain('bad');
    expect(existsSync(join(root, 'tmp')) ? readdirSync(join(root, 'tmp')) : []).toEqual([]);
  });

  it('a full disk while packing leaves the store as it was', async () => {
    const small = join(home, 'store-small');
    mkdirSync(small);
    await must('mount', ['-t', 'tmpfs', '-o', 'size=3m', 'tmpfs', small]);
    try {
      await mustSlipway(['build', '-t', 'fits:v1', seedContext('fits', SEED)], { root: small });
      const dir = seedContext('large', SEED);
      writeFileSync(join(dir, 'rootfs/etc/large'), Buffer.from(Array.from({ length: 5e6 }, () => Math.random() * 256)));
      const { code, stderr } = await slipway(['build', '-t', 'large:v1', dir], { root: small });
      expect(stderr).toMatch(/no space left on the disk while/);
      expect(code).toBe(1);
      expect(await mustSlipway(['images', '-q'], { root: small })).toMatch(/^sha256:\w+\n$/);
      expect(readdirSync(join(small, 'tmp'))).toEqual([]);
      await mustSlipway(['inspect', 'fits:v1'], { root: small });
    } finally {
      await must('umount', [small]);
    }
  });

  it('kill -9 in the middle leaves a store that works, and the next command sweeps', async () => {
    const killed = join(home, 'store-killed');
    const dir = seedContext('killed', `${SEED}RUN echo started > etc/x; sleep 60\n`);
    const { startSlipway } = await import('../../support/slipway.js');
    const running = startSlipway(['build', '-t', 'killed:v1', dir], { root: killed });
    await expect
      .poll(
        () =>
          readdirSync(join(killed, 'tmp'), { recursive: true }).some((name) => String(name).endsWith('upper/etc/x')),
        { timeout: 20_000 },
      )
      .toBe(true);
    running.kill('SIGKILL');
    expect((await running.ended).signal).toBe('SIGKILL');
    expect(await mustSlipway(['images', '-q'], { root: killed })).toBe('');
    writeFileSync(join(dir, 'Kubefile'), SEED);
    await mustSlipway(['build', '-t', 'killed:v1', dir], { root: killed });
    await expect.poll(() => readdirSync(join(killed, 'tmp'))).toEqual([]);
    expect(readFileSync('/proc/self/mountinfo', 'utf8')).not.toContain(killed);
  });
});

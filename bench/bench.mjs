// npm run bench: what Slipway takes, as a ratio of what its peers take for the same work in the same run. Needs root, and the Debian
// packages buildah skopeo umoci docker-registry time (test/lab/packages.sh installs them).
//   npm run bench -- [ROW …]     only rows whose name contains one of the words
import { spawn, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  copyFileSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { pair } from './pairs.mjs';

const project = fileURLToPath(new URL('..', import.meta.url));
// Lower case: buildah makes the name of an image of the path of a layout.
const home = join(tmpdir(), `slipway-bench-${randomBytes(6).toString('hex')}`);
mkdirSync(home);
const inStore = (name, command) => `SLIPWAY_ROOT=${home}/${name} ${project}bin/slipway ${command} 2>&1 >/dev/null`;
const buildah = (command) => `buildah --root ${home}/buildah --runroot ${home}/buildah-run ${command} >/dev/null 2>&1`;
const only = process.argv.slice(2);
const port = await freePort();
const registry = await startRegistry(port);
const address = `127.0.0.1:${port}`;

try {
  const rows = [];
  const row = (name, budget, setup) => {
    if (only.length > 0 && !only.some((word) => name.includes(word))) return;
    process.stderr.write(`${name} …\n`);
    try {
      rows.push({ name, budget, ...pair(setup()) });
    } catch (error) {
      // The others are measured all the same.
      process.stderr.write(`${name} was not measured: ${error.message}\n`);
      process.exitCode = 1;
    }
  };
  row('build + push, COPY of 200 MB / buildah bud + push', 0.5, () => buildAndPush('gzip'));
  row('the same with --compression zstd / buildah (gzip)', undefined, () => buildAndPush('zstd'));
  row('rebuild, nothing changed (10 000 files) / buildah', 0.3, rebuild);
  row('pack 20 000 files with digests / tar | sha256sum', 2, pack);
  row('pack 200 MB, gzip / tar | gzip | sha256sum', 1, packGzip);
  row('unpack 20 000 files, verified / GNU tar', 1.5, unpack);
  row('unpack 20 000 files (gzip), verified / umoci raw unpack', 1, unpackLikeUmoci);
  row('unpack and mount an image of 20 000 files / umoci unpack', 1, () => mountLike(umociUnpack));
  row('unpack and mount an image of 20 000 files / buildah from + mount', 1, () => mountLike(buildahMount));
  row('copy 200 MB from a registry, verified / skopeo', 1, () => copyDown(200e6, 5));
  row('copy 1 GB from a registry, verified / skopeo', 1, () => copyDown(1e9, 3));
  row('copy 1 GB to a registry / skopeo', 1, () => copyUp(1e9, 3));
  row('pull 200 MB, layers proved and listed / buildah pull', 1, pull);
  row('build of a 1 GB layer / buildah bud (peak memory)', undefined, large);
  row('slipway version / node -e 0', 2, () => ({
    ours: `${project}bin/slipway version`,
    peer: 'node -e 0',
    rounds: 15,
  }));
  const figures = [
    ['parse: a Kubefile of 10 000 lines', 100, 'parse', 'again'],
    ['parse: the first time in a process', undefined, 'parse'],
    ['parse and lint it (text only), the first time', undefined, 'lint'],
  ].filter(([name]) => only.length === 0 || only.some((word) => name.includes(word)));
  if (rows.length > 0) print(rows);
  for (const [name, budget, ...what] of figures) printFigure(name, budget, what);
} finally {
  registry.kill();
  spawnSync('buildah', ['--root', `${home}/buildah`, '--runroot', `${home}/buildah-run`, 'rm', '--all']);
  unmountAll();
  rmSync(home, { recursive: true, force: true, maxRetries: 5 });
}

/** Milliseconds inside a fresh process, without what starting it takes: the median of nine. */
function printFigure(name, budget, what) {
  const times = Array.from({ length: 9 }, () =>
    Number(spawnSync('node', [`${project}bench/parse.mjs`, ...what], { encoding: 'utf8' }).stdout),
  ).sort((a, b) => a - b);
  const verdict = budget === undefined ? '' : `  ≤ ${budget} ms`;
  console.log(`${name}${verdict}  ${times[4]} ms (least ${times[0]}, most ${times[8]})`);
}

/** 200 MB of programs (as compressible as what clusters are made of) in a context that both builders take. */
function programs(name, bytes) {
  const dir = join(home, name);
  mkdirSync(join(dir, 'tree'), { recursive: true });
  let total = 0;
  // Again and again, if the machine has less: the window of gzip is too small to notice.
  for (let before = -1; total > before; ) {
    before = total;
    for (const source of ['/usr/bin', '/usr/lib/x86_64-linux-gnu', '/usr/sbin', process.execPath]) {
      const files = statSync(source).isDirectory() ? readdirSync(source).map((file) => join(source, file)) : [source];
      for (const file of files) {
        const stats = statSync(file, { throwIfNoEntry: false });
        if (total >= bytes || !stats?.isFile() || stats.size === 0 || stats.size > bytes - total) continue;
        copyFileSync(file, join(dir, 'tree', `${total}-${file.split('/').at(-1)}`));
        total += stats.size;
      }
    }
  }
  return kubefiles(dir);
}

function kubefiles(dir) {
  writeFileSync(join(dir, 'Kubefile'), '# dialect=docker\nFROM scratch\nCOPY tree /tree\n');
  writeFileSync(join(dir, 'Dockerfile'), 'FROM scratch\nCOPY tree /tree\n');
  return dir;
}

function smallFiles(name, count, size) {
  const dir = join(home, name);
  for (let index = 0; index < count; index++) {
    const sub = join(dir, 'tree', String(index % 100));
    if (index < 100) mkdirSync(sub, { recursive: true });
    writeFileSync(join(sub, `file-${index}`), randomBytes(size / 2).toString('hex'));
  }
  return kubefiles(dir);
}

/** What our build is at least: every byte hashed and deflated at our level on all cores. */
function deflating(dir) {
  spawnSync('tar', ['-C', dir, '-cf', `${home}/limit.tar`, 'tree']);
  return () =>
    Number(
      spawnSync('node', [`${project}bench/limits.mjs`, 'gzip', `${home}/limit.tar`, '3'], { encoding: 'utf8' }).stdout,
    );
}

function buildAndPush(compression) {
  const dir = programs('programs', 200e6);
  let round = 0;
  return {
    prepare: () => {
      round++;
      for (const name of ['store', 'buildah']) rmSync(join(home, name), { recursive: true, force: true });
      // Each round pushes a layer that the registry has never seen.
      writeFileSync(join(dir, 'tree', 'round'), `${compression} ${round}`);
    },
    ours: inStore('store', `build --push --compression ${compression} -t ${address}/ours:v1 ${dir}`),
    peer: `${buildah(`bud --isolation chroot -t ${address}/peer:v1 ${dir}`)} && ${buildah(`push --tls-verify=false ${address}/peer:v1`)}`,
    limit: compression === 'gzip' ? deflating(dir) : undefined,
  };
}

function rebuild() {
  const dir = smallFiles('many', 10_000, 2048);
  const ours = inStore('store-many', `build -t many:v1 ${dir}`);
  const peer = buildah(`bud --layers --isolation chroot -t many:v1 ${dir}`);
  // A file that has just been written is not remembered: its times could still hide a change.
  spawnSync('sleep', ['1.5']);
  spawnSync('bash', ['-c', `${ours}; ${peer}`]);
  return { ours, peer, limit: `find ${dir} -newermt 2100-01-01` };
}

function pack() {
  const dir = smallFiles('small', 20_000, 4096);
  return {
    ours: `node ${project}bench/pack.mjs ${dir}/tree ${home}/ours.tar`,
    peer: `tar -C ${dir}/tree --sort=name -cf - . | tee ${home}/peer.tar | sha256sum`,
    limit: `find ${dir}/tree -type f -print0 | xargs -0 cat | sha256sum`,
  };
}

function packGzip() {
  const dir = programs('programs', 200e6);
  return {
    ours: `node ${project}bench/pack.mjs ${dir}/tree ${home}/ours.tar.gz gzip`,
    peer: `tar -C ${dir}/tree --sort=name -cf - . | tee >(sha256sum >/dev/null) | gzip -4 | tee ${home}/peer.tar.gz | sha256sum`,
    limit: deflating(dir),
  };
}

/**
 * New directories in each round, and none removed before the end: for seconds after many files were removed, ext4 looks long for inodes, and
 * nothing else would be measured.
 */
function freshPlaces(name) {
  let round = 0;
  return () => {
    round++;
    for (const side of ['ours', 'peer', 'limit']) {
      const place = join(home, `${name}-${side}`);
      rmSync(place, { force: true });
      mkdirSync(`${place}-${round}`);
      symlinkSync(`${place}-${round}`, place);
    }
  };
}

function unpack() {
  const dir = smallFiles('small', 20_000, 4096);
  spawnSync('tar', ['-C', `${dir}/tree`, '--sort=name', '-cf', `${home}/layer.tar`, '.']);
  const diffId = `sha256:${spawnSync('sha256sum', [`${home}/layer.tar`], { encoding: 'utf8' }).stdout.split(' ', 1)[0]}`;
  return {
    prepare: freshPlaces('tar'),
    ours: `node ${project}bench/unpack.mjs ${home}/layer.tar ${home}/tar-ours ${diffId}`,
    peer: `tar -C ${home}/tar-peer -xf ${home}/layer.tar`,
    limit: `tee >(sha256sum >/dev/null) <${home}/layer.tar | tar -C ${home}/tar-limit -xf -`,
  };
}

/** An image of one layer in a store, which every peer can read as an OCI layout. */
function smallFilesImage() {
  const dir = smallFiles('small', 20_000, 4096);
  spawnSync('bash', ['-c', inStore('store-small', `build -t small:v1 ${dir}`)]);
  const blob = (digest) => join(home, 'store-small/blobs/sha256', digest.slice('sha256:'.length));
  const json = (file) => JSON.parse(readFileSync(file, 'utf8'));
  const manifest = json(blob(json(join(home, 'store-small/index.json')).manifests[0].digest));
  const diffId = json(blob(manifest.config.digest)).rootfs.diff_ids[0];
  return { layout: `${home}/store-small:small:v1`, layer: blob(manifest.layers[0].digest), diffId };
}

function unpackLikeUmoci() {
  const { layout, layer, diffId } = smallFilesImage();
  return {
    prepare: freshPlaces('raw'),
    ours: `node ${project}bench/unpack.mjs ${layer} ${home}/raw-ours ${diffId} gzip`,
    peer: `umoci raw unpack --image ${layout} ${home}/raw-peer/rootfs >/dev/null 2>&1`,
  };
}

/** Each round has a store of its own: the same blobs, nothing unpacked. */
function mountLike(peer) {
  const { layout } = smallFilesImage();
  const fresh = freshPlaces(peer.name);
  const ours = `${home}/${peer.name}-ours`;
  return {
    prepare: () => {
      unmountAll();
      fresh();
      spawnSync('bash', [
        '-c',
        `cd ${home}/store-small && cp -al --parents blobs oci-layout ${ours}/ && cp index.json ${ours}/`,
      ]);
    },
    ours: inStore(`${peer.name}-ours`, `mount small:v1`),
    peer: peer(layout, `${home}/${peer.name}-peer`),
  };
}

/** Everything that is mounted below `home`, the last first. */
function unmountAll() {
  const mounts = readFileSync('/proc/self/mounts', 'utf8')
    .split('\n')
    .map((line) => line.split(' ')[1] ?? '');
  for (const place of mounts.filter((one) => one.startsWith(`${home}/`)).reverse()) spawnSync('umount', [place]);
}

function umociUnpack(layout, place) {
  return `umoci unpack --image ${layout} ${place}/bundle >/dev/null 2>&1`;
}

function buildahMount(layout, place) {
  const storage = `--root ${place}/root --runroot ${place}/run`;
  return `container=$(buildah ${storage} from -q oci:${layout}) && buildah ${storage} mount $container >/dev/null`;
}

/** An image of that many bytes of files, in the registry and in the store `published`. */
function published(bytes) {
  const dir = programs(`programs-${bytes}`, bytes);
  const name = `${address}/published-${bytes}:v1`;
  spawnSync('bash', ['-c', inStore('published', `build --push -t ${name} ${dir}`)]);
  return name;
}

function copyDown(bytes, rounds) {
  const name = published(bytes);
  const blob = `curl -sf ${blobUrl(name)} | tee ${home}/limit | sha256sum`;
  return {
    rounds,
    prepare: () => {
      for (const layout of ['layout-ours', 'layout-peer']) rmSync(join(home, layout), { recursive: true, force: true });
    },
    ours: inStore('none', `copy docker://${name} oci:${home}/layout-ours:v1`),
    peer: `skopeo copy --src-tls-verify=false docker://${name} oci:${home}/layout-peer:v1 >/dev/null 2>&1`,
    limit: blob,
  };
}

function copyUp(bytes, rounds) {
  const name = published(bytes);
  spawnSync('bash', ['-c', `skopeo copy --src-tls-verify=false docker://${name} oci:${home}/layout-up:v1`]);
  const forget = () => {
    for (const dir of ['repositories/up', 'blobs'])
      rmSync(join(home, 'registry/docker/registry/v2', dir), { recursive: true, force: true });
  };
  return {
    rounds,
    // Nothing is there, for neither of the two.
    prepare: forget,
    between: forget,
    ours: inStore('none', `copy oci:${home}/layout-up:v1 docker://${address}/up/ours:v1`),
    peer: `skopeo copy --dest-tls-verify=false oci:${home}/layout-up:v1 docker://${address}/up/peer:v1 >/dev/null 2>&1`,
    limit: `cat ${home}/layout-up/blobs/sha256/* | tee ${home}/limit | sha256sum`,
  };
}

function pull() {
  const name = published(200e6);
  return {
    prepare: () => {
      for (const dir of ['store-pull', 'buildah']) rmSync(join(home, dir), { recursive: true, force: true });
    },
    ours: inStore('store-pull', `pull ${name}`),
    peer: buildah(`pull --tls-verify=false ${name}`),
    limit: `curl -sf ${blobUrl(name)} | gzip -dc | sha256sum`,
  };
}

/** Where the layer of an image of one layer is. */
function blobUrl(name) {
  const [, repository] = /^[^/]+\/(.+):v1$/.exec(name);
  const { stdout } = spawnSync('skopeo', ['inspect', '--raw', '--tls-verify=false', `docker://${name}`], {
    encoding: 'utf8',
  });
  return `http://${address}/v2/${repository}/blobs/${JSON.parse(stdout).layers[0].digest}`;
}

function large() {
  const dir = join(home, 'large');
  mkdirSync(join(dir, 'tree'), { recursive: true });
  kubefiles(dir);
  spawnSync('bash', [
    '-c',
    `for i in 1 2 3 4 5; do cat ${process.execPath}; head -c 100M /dev/urandom; done | head -c 1G >${dir}/tree/large`,
  ]);
  return {
    rounds: 1,
    prepare: () => {
      for (const name of ['store-large', 'buildah']) rmSync(join(home, name), { recursive: true, force: true });
    },
    ours: inStore('store-large', `build -t large:v1 ${dir}`),
    peer: buildah(`bud --isolation chroot -t large:v1 ${dir}`),
  };
}

function print(rows) {
  const table = [
    ['work', 'budget', 'ratio', 'least', 'most', 'ours', 'peer', 'limit', 'ours/limit', 'our peak memory'],
  ];
  for (const { name, budget, ratio, least, most, ours, peer, limit, memory } of rows) {
    const verdict = budget === undefined ? '' : `≤ ${budget}`;
    table.push([
      name,
      verdict,
      ratio.toFixed(2),
      least.toFixed(2),
      most.toFixed(2),
      `${ours.toFixed(2)} s`,
      `${peer.toFixed(2)} s`,
      limit === undefined ? '' : `${limit.toFixed(2)} s`,
      limit === undefined ? '' : (ours / limit).toFixed(1),
      `${Math.round(memory / 1e6)} MB`,
    ]);
  }
  const widths = table[0].map((_, column) => Math.max(...table.map((cells) => cells[column].length)));
  for (const cells of table) console.log(cells.map((cell, column) => cell.padEnd(widths[column])).join('  '));
}

async function startRegistry(listen) {
  const config = join(home, 'registry.yml');
  writeFileSync(
    config,
    `version: 0.1\nlog: {level: error}\nstorage: {filesystem: {rootdirectory: ${home}/registry}}\nhttp: {addr: "127.0.0.1:${listen}"}\n`,
  );
  const child = spawn('docker-registry', ['serve', config], { stdio: 'ignore' });
  for (let tries = 0; tries < 100; tries++) {
    const answered = await fetch(`http://127.0.0.1:${listen}/v2/`).then(
      (response) => response.ok,
      () => false,
    );
    if (answered) return child;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  child.kill();
  throw new Error('docker-registry did not start');
}

function freePort() {
  return new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port: free } = server.address();
      server.close(() => resolve(free));
    });
  });
}

import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { startDockerRegistry } from '../integration/registry/support/docker-registry.js';
import { mustSlipway } from '../support/slipway.js';
import { lockFile } from './file-lock.js';
import { LAB } from './lab.js';

const exec = promisify(execFile);
const HERE = fileURLToPath(new URL('./', import.meta.url));
const PROJECT = fileURLToPath(new URL('../../', import.meta.url));
/** Base images that are kept: of some versions, made by some states of the sources. */
const KEPT = 6;

/**
 * Puts the base image of Kubernetes with all its container images into the store at `root`, built by slipway itself (half a minute). It is
 * kept in the lab: as long as nothing of which it is made has changed it is only loaded. No internet: the container images are built too,
 * and taken from a registry on this machine that ends before this does.
 */
export async function buildBaseImage(root: string, name: string, version = 'v1.20.2'): Promise<void> {
  const images = join(LAB, 'images');
  const kept = join(images, `${version}-${sourcesDigest()}`);
  const lock = await lockFile(join(images, '.lock'));
  try {
    if (!existsSync(kept)) {
      const home = mkdtempSync(join(tmpdir(), 'slipway-base-image-'));
      try {
        await build(join(home, 'store'), name, version, home);
        await mustSlipway(['save', '--format', 'oci-dir', '-o', `${kept}.part`, name], { root: join(home, 'store') });
        renameSync(`${kept}.part`, kept);
      } finally {
        rmSync(home, { recursive: true, force: true });
        rmSync(`${kept}.part`, { recursive: true, force: true });
      }
    }
    utimesSync(kept, new Date(), new Date());
    const old = readdirSync(images)
      .filter((entry) => !entry.startsWith('.'))
      .map((entry) => join(images, entry))
      .sort((a, b) => statSync(b).mtimeMs - statSync(a).mtimeMs)
      .slice(KEPT);
    for (const entry of old) rmSync(entry, { recursive: true, force: true });
    await mustSlipway(['load', '--as', name, kept], { root });
  } finally {
    await lock.release();
  }
}

/** Of everything of which base images are made. */
function sourcesDigest(): string {
  const hash = createHash('sha256');
  for (const directory of ['src', 'basefs', 'test/lab', 'test/integration/registry/support']) {
    const entries = readdirSync(join(PROJECT, directory), { recursive: true, withFileTypes: true });
    const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
    for (const file of files.sort())
      hash
        .update(`${file.slice(PROJECT.length)}\0`)
        .update(readFileSync(file))
        .update('\0');
  }
  return hash.digest('hex').slice(0, 24);
}

async function build(root: string, name: string, version: string, home: string): Promise<void> {
  const registry = await startDockerRegistry();
  try {
    await exec(join(HERE, 'kubernetes.sh'));
    const contexts = join(home, 'images');
    const options = { env: { ...process.env, LAB_KUBERNETES_VERSION: version } };
    await exec(join(HERE, 'basefs/images.sh'), [contexts], options);
    for (const line of readFileSync(join(contexts, 'images.tsv'), 'utf8').trim().split('\n')) {
      const [directory = '', reference = ''] = line.split('\t');
      const image = `${registry.address}/${reference.slice(reference.indexOf('/') + 1)}`;
      await mustSlipway(['build', '--build-mode', 'lite', '-t', image, join(contexts, directory)], { root });
      await mustSlipway(['push', image], { root });
    }
    const mirrors = `{k8s.gcr.io: ["${registry.address}"], docker.io: ["${registry.address}"]}`;
    writeFileSync(join(root, 'config.yaml'), `registries: {mirrors: ${mirrors}}\n`);
    const base = join(home, 'base');
    await exec(join(HERE, 'basefs/assemble.sh'), [base], options);
    await mustSlipway(['build', '-t', name, base], { root });
  } finally {
    await registry.close();
  }
}

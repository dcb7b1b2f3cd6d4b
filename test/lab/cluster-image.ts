import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { startDockerRegistry } from '../integration/registry/support/docker-registry.js';
import { mustSlipway } from '../support/slipway.js';

const exec = promisify(execFile);
const LAB = fileURLToPath(new URL('./', import.meta.url));

/**
 * Builds the base image of Kubernetes with all its container images, by slipway itself, into the store at `root` (half a minute). No
 * internet: the container images are built too, and taken from a registry on this machine that ends before this does.
 */
export async function buildBaseImage(root: string, name: string, version = 'v1.20.2'): Promise<void> {
  const home = mkdtempSync(join(tmpdir(), 'slipway-base-image-'));
  const registry = await startDockerRegistry();
  try {
    await exec(join(LAB, 'kubernetes.sh'));
    const contexts = join(home, 'images');
    const options = { env: { ...process.env, LAB_KUBERNETES_VERSION: version } };
    await exec(join(LAB, 'basefs/images.sh'), [contexts], options);
    for (const line of readFileSync(join(contexts, 'images.tsv'), 'utf8').trim().split('\n')) {
      const [directory = '', reference = ''] = line.split('\t');
      const image = `${registry.address}/${reference.slice(reference.indexOf('/') + 1)}`;
      await mustSlipway(['build', '--build-mode', 'lite', '-t', image, join(contexts, directory)], { root });
      await mustSlipway(['push', image], { root });
    }
    const mirrors = `{k8s.gcr.io: ["${registry.address}"], docker.io: ["${registry.address}"]}`;
    writeFileSync(join(root, 'config.yaml'), `registries: {mirrors: ${mirrors}}\n`);
    const base = join(home, 'base');
    await exec(join(LAB, 'basefs/assemble.sh'), [base], options);
    await mustSlipway(['build', '-t', name, base], { root });
    rmSync(join(root, 'config.yaml'));
  } finally {
    await registry.close();
    rmSync(home, { recursive: true, force: true });
  }
}

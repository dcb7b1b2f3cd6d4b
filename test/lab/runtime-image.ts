import { execFile } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { startDockerRegistry } from '../integration/registry/support/docker-registry.js';
import { mustSlipway } from '../support/slipway.js';

const exec = promisify(execFile);
const HERE = fileURLToPath(new URL('./', import.meta.url));

/** A base image of k0s or k3s, of which nothing is downloaded. */
export interface RuntimeImage {
  readonly runtime: 'k0s' | 'k3s';
  /** `v1.30.4+k3s1` */
  readonly version: string;
  /** A real program in place of the stand-in. */
  readonly program?: string | undefined;
  /** The name of the image that holds pods together, as this runtime asks for it. */
  readonly pause: string;
  /** More files of the rootfs, by their paths. */
  readonly files?: Readonly<Record<string, string>>;
}

/** The application of the tests. */
export const WEB_IMAGE = 'docker.io/library/web:1.0';

/** Builds base images of a runtime with their container images, by slipway itself, into the store at `root`. */
export async function buildRuntimeImages(root: string, images: Readonly<Record<string, RuntimeImage>>): Promise<void> {
  const home = mkdtempSync(join(tmpdir(), 'slipway-runtime-image-'));
  const registry = await startDockerRegistry();
  try {
    const pauses = [...new Set(Object.values(images).map(({ pause }) => pause))];
    const hosts = new Set([WEB_IMAGE, ...pauses].map((reference) => reference.slice(0, reference.indexOf('/'))));
    const busybox = (await exec('sh', ['-c', 'command -v busybox'])).stdout.trim();
    for (const [reference, directory] of [[WEB_IMAGE, 'web'], ...pauses.map((pause) => [pause, 'pause'])] as const) {
      if (reference === undefined || directory === undefined) continue;
      const context = join(home, directory);
      mkdirSync(context, { recursive: true });
      cpSync(join(HERE, 'basefs/images', directory), context, { recursive: true });
      cpSync(busybox, join(context, 'busybox'));
      const image = `${registry.address}/${reference.slice(reference.indexOf('/') + 1)}`;
      await mustSlipway(['build', '--build-mode', 'lite', '-t', image, context], { root });
      await mustSlipway(['push', image], { root });
    }
    const mirrors = [...hosts].map((host) => `${host}: ["${registry.address}"]`).join(', ');
    writeFileSync(join(root, 'config.yaml'), `registries: {mirrors: {${mirrors}}}\n`);
    for (const [name, { runtime, version, program, pause, files = {} }] of Object.entries(images)) {
      const context = join(home, `base-${version}`);
      await exec(
        join(HERE, 'standins/assemble.sh'),
        [runtime, version, context, ...(program === undefined ? [] : [program])],
        { env: { ...process.env, LAB_IMAGES: `${pause} ${WEB_IMAGE}` } },
      );
      for (const [path, text] of Object.entries(files)) {
        const file = join(context, 'rootfs', path);
        mkdirSync(dirname(file), { recursive: true });
        writeFileSync(file, text);
      }
      await mustSlipway(['build', '-t', name, context], { root });
      rmSync(context, { recursive: true, force: true });
    }
    rmSync(join(root, 'config.yaml'));
  } finally {
    await registry.close();
    rmSync(home, { recursive: true, force: true });
  }
}

import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { cp } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { mustSlipway } from '../../support/slipway.js';
import { startReleaseServer } from './release-server.js';
import { addK0s, addK3s } from './runtime-releases.js';
import type { Upstream } from './upstream.js';

const run = promisify(execFile);
const BASEFS = join(import.meta.dirname, '../../../basefs');

/** The folders of basefs, and what the examples call the images that are built from them. */
export const BASES = {
  kubernetes: 'k8s:v1.30.14',
  k0s: 'k0s:v1.31.14',
  k3s: 'k3s:v1.30.4',
} as const;

/**
 * Builds the base images of basefs into the store at `root`, as their READMEs say, for both architectures. What `fetch.sh` downloads are
 * pretended releases: nothing of it runs, but its own lists of container images, which `upstream` gets.
 */
export async function buildBases(
  root: string,
  upstream: Upstream,
  home: string,
  folders: readonly (keyof typeof BASES)[],
): Promise<void> {
  const server = await startReleaseServer();
  try {
    await addK0s(server.files, 'v1.31.14+k0s.0');
    await addK3s(server.files, 'v1.30.4+k3s1');
    const env = { PATH: process.env.PATH, SLIPWAY_K8S_URL: server.url, SLIPWAY_GITHUB_URL: server.url };
    for (const folder of folders) {
      const context = join(home, folder);
      await cp(join(BASEFS, folder), context, {
        recursive: true,
        filter: (from) => !/\/(?:amd64|arm64|\.cache)(?:\/|$)/.test(from),
      });
      for (const arch of ['amd64', 'arm64']) await run('bash', [join(context, 'fetch.sh'), '--arch', arch], { env });
      await upstream.publish(readFileSync(join(context, 'imageList'), 'utf8').trim().split('\n'));
      upstream.use(root);
      const platforms = 'linux/amd64,linux/arm64';
      await mustSlipway(['build', '-q', '-t', BASES[folder], '--platform', platforms, context], { root });
    }
  } finally {
    await server.close();
  }
}

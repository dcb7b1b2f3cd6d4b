import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parsePlatform } from '../../../src/image/platform.js';
import { startDockerRegistry } from '../registry/support/docker-registry.js';
import { putImage, putIndex, tempStore } from '../registry/support/images.js';
import { must } from '../registry/support/programs.js';

/** A registry of this machine that stands for those on the internet. */
export interface Upstream {
  /** Publishes an image under each of these names (`docker.io/library/web:1`), for amd64 and arm64. */
  publish(references: readonly string[]): Promise<void>;
  /** Lets the commands that use the store at `root` ask here for all that was published. */
  use(root: string): void;
  close(): Promise<void>;
}

export async function startUpstream(): Promise<Upstream> {
  const registry = await startDockerRegistry();
  const hosts = new Set<string>();
  return {
    async publish(references) {
      const { store, close } = await tempStore();
      try {
        for (const reference of references) {
          const [host = '', path = ''] = split(reference);
          const images = await Promise.all(
            ['amd64', 'arm64'].map(async (arch) => {
              const platform = parsePlatform(arch);
              return [platform, await putImage(store, { layers: [{ f: `${reference} ${arch}` }], platform })] as const;
            }),
          );
          await store.tag('x:latest', await putIndex(store, [...images]));
          const target = `docker://${registry.address}/${path}`;
          const flags = ['-q', '--all', '--dest-tls-verify=false'];
          await must('skopeo', ['copy', ...flags, `oci:${store.root}:x:latest`, target]);
          hosts.add(host);
        }
      } finally {
        await close();
      }
    },
    use(root) {
      const mirrors = Object.fromEntries([...hosts].map((host) => [host, [registry.address]]));
      mkdirSync(root, { recursive: true });
      writeFileSync(join(root, 'config.yaml'), JSON.stringify({ registries: { mirrors } }));
    },
    close: () => registry.close(),
  };
}

/** The host of a full name, and the rest of it. */
function split(reference: string): [string, string] {
  const slash = reference.indexOf('/');
  return [reference.slice(0, slash), reference.slice(slash + 1)];
}

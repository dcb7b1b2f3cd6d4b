import type { Host } from '../../hosts/host.js';
import { k0sAbilities } from './versions.js';

/** Where every host has the settings of registries: mirrors, CA, credentials. */
const CERTS = '/etc/containerd/certs.d';
const MARK = '# written by slipway';
/** Read by k0s since it knows drop-ins. */
const DROP_IN = '/etc/k0s/containerd.d/slipway-registry.toml';
/** Before: it takes the place of k0s' own file, which says no more than `version = 2`. */
const WHOLE = '/etc/k0s/containerd.toml';

/** A file on a host. */
export interface ContainerdFile {
  readonly path: string;
  readonly content: string;
}

/**
 * Leads the containerd of k0s to the settings of registries that are there for any containerd: certs.d/HOST/hosts.toml. Pure.
 * Source: k0s, docs/runtime.md; containerd, docs/cri/registry.md.
 */
export function containerdFile(version: string): ContainerdFile {
  const { containerdDropIns, containerdConfig } = k0sAbilities(version);
  const plugin = containerdConfig === 3 ? 'io.containerd.cri.v1.images' : 'io.containerd.grpc.v1.cri';
  return {
    path: containerdDropIns ? DROP_IN : WHOLE,
    content: `${MARK}
version = ${containerdConfig}

[plugins."${plugin}".registry]
  config_path = "${CERTS}"
`,
  };
}

/**
 * Writes {@link containerdFile}. What an earlier version needed and this one would trip over is taken away; a file of somebody else is
 * left as it is.
 * @param note told when somebody else's file keeps ours from being read
 */
export async function writeContainerdFile(host: Host, version: string, note: (line: string) => void): Promise<void> {
  const { path, content } = containerdFile(version);
  const ours = async (file: string): Promise<boolean | undefined> => {
    const text = (await host.readFile(file))?.toString('utf8');
    return text === undefined ? undefined : text.startsWith(MARK);
  };
  const whole = await ours(WHOLE);
  if (path === WHOLE) {
    if (whole === false && !(await isManagedByK0s(host))) {
      note(
        `${WHOLE} of ${host.address} is somebody else's and stays: images come from the cluster's registry only if it says so`,
      );
      return;
    }
  } else if (whole === true) {
    await host.run(`rm -f ${WHOLE}`, { title: `removing ${WHOLE}`, timeoutMs: 30_000 });
  }
  if ((await host.readFile(path))?.toString('utf8') !== content) await host.writeFile(path, content, { mode: 0o644 });
}

/** k0s writes a file of its own when there is none: it says so, or says nothing but its version. */
async function isManagedByK0s(host: Host): Promise<boolean> {
  const text = (await host.readFile(WHOLE))?.toString('utf8') ?? '';
  return text
    .split('\n')
    .map((line) => line.trim())
    .every((line) => line === '' || line.startsWith('#') || line === 'version = 2');
}

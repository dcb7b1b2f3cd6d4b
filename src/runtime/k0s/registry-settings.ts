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
 * @param keepOomScores for hosts where nobody may lower one: runc could not start a container there otherwise
 * Source: k0s, docs/runtime.md; containerd, docs/cri/registry.md and docs/cri/config.md.
 */
export function containerdFile(version: string, keepOomScores = false): ContainerdFile {
  const { containerdDropIns, containerdConfig } = k0sAbilities(version);
  const { images, runtime } = PLUGINS[containerdConfig];
  const oom = keepOomScores ? `\n[plugins."${runtime}"]\n  restrict_oom_score_adj = true\n` : '';
  return {
    path: containerdDropIns ? DROP_IN : WHOLE,
    content: `${MARK}
version = ${containerdConfig}
${oom}
[plugins."${images}".registry]
  config_path = "${CERTS}"
`,
  };
}

/** What the two halves of containerd's CRI are called, by the format of its settings; up to 2 they are one. */
const PLUGINS = {
  2: { images: 'io.containerd.grpc.v1.cri', runtime: 'io.containerd.grpc.v1.cri' },
  3: { images: 'io.containerd.cri.v1.images', runtime: 'io.containerd.cri.v1.runtime' },
} as const;

/**
 * Writes {@link containerdFile}. What an earlier version needed and this one would trip over is taken away; a file of somebody else is
 * left as it is.
 * @param note told when somebody else's file keeps ours from being read
 */
export async function writeContainerdFile(host: Host, version: string, note: (line: string) => void): Promise<void> {
  const { path, content } = containerdFile(version, !(await mayLowerOomScores(host)));
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

/** Whether PID 1, and so k0s, has CAP_SYS_RESOURCE (bit 24), and may use it. */
async function mayLowerOomScores(host: Host): Promise<boolean> {
  const { stdout } = await host.run(`awk '$1 == "CapBnd:" { print $2 }' /proc/1/status`, {
    title: 'looking whether oom scores may be lowered',
    timeoutMs: 30_000,
  });
  const bits = stdout.trim();
  return !/^[0-9a-f]+$/i.test(bits) || ((BigInt(`0x${bits}`) >> 24n) & 1n) === 1n;
}

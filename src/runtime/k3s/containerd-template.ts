import type { Host } from '../../hosts/host.js';
import { PATHS } from './paths.js';
import { k3sAbilities } from './versions.js';

const MARK = '# written by slipway';

/**
 * Where nobody may lower an oom score (no CAP_SYS_RESOURCE), runc cannot start a container unless containerd leaves the scores as they
 * are. k3s has no setting for it: its template says it, before what k3s itself writes, as a dotted key (the table's header comes after
 * it, and containerd 1 takes both together).
 */
const KEEP_OOM_SCORES = `${MARK}: this host has no CAP_SYS_RESOURCE
plugins."io.containerd.grpc.v1.cri".restrict_oom_score_adj = true
{{ template "base" . }}
`;

/** Bit of CAP_SYS_RESOURCE in capability masks (capabilities(7)). */
const CAP_SYS_RESOURCE = 24n;

/** Whether processes of a host with these capabilities may lower an oom score. Pure. */
export function mayLowerOomScore(capabilities: string): boolean {
  const mask = capabilities.trim();
  return !/^[0-9a-f]+$/i.test(mask) || ((BigInt(`0x${mask}`) >> CAP_SYS_RESOURCE) & 1n) === 1n;
}

/** The template that a host needs; undefined when k3s' own will do, or none would help. Pure. */
export function containerdTemplate(version: string, mayLower: boolean): string | undefined {
  const { baseTemplate, containerd } = k3sAbilities(version);
  return !mayLower && baseTemplate && containerd === 1 ? KEEP_OOM_SCORES : undefined;
}

/** Writes the template where the host needs it; one that is somebody else's stays. */
export async function writeContainerdTemplate(
  host: Host,
  version: string,
  note: (line: string) => void,
): Promise<void> {
  const { stdout } = await host.run(`awk '$1 == "CapBnd:" { print $2 }' /proc/1/status`, {
    title: 'looking whether oom scores can be lowered',
    timeoutMs: 30_000,
  });
  const mayLower = mayLowerOomScore(stdout);
  const wanted = containerdTemplate(version, mayLower);
  const found = (await host.readFile(PATHS.containerdTemplate))?.toString('utf8');
  if (found === wanted) return;
  if (found !== undefined && !found.startsWith(MARK)) {
    note(`${PATHS.containerdTemplate} of ${host.address} is somebody else's and stays`);
  } else if (wanted !== undefined) {
    await host.writeFile(PATHS.containerdTemplate, wanted, { mode: 0o644 });
  } else if (found !== undefined) {
    await host.run(`rm -f ${PATHS.containerdTemplate}`, {
      title: 'removing a template of containerd',
      timeoutMs: 30_000,
    });
  }
  if (!mayLower && wanted === undefined) {
    note(
      `${host.address} has no CAP_SYS_RESOURCE, and this k3s cannot be told to leave oom scores alone: containers may not start there`,
    );
  }
}

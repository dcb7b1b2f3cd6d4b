import { SlipwayError } from '../../base/errors.js';
import type { Host } from '../../hosts/host.js';
import type { ClusterContext, ClusterNode } from '../driver.js';
import type { Kubectl } from './ask.js';
import { isAtLeast } from './version.js';

/**
 * Lets the pods of a node go elsewhere, as far as disruption budgets allow. It takes no new ones from then on.
 * @throws SlipwayError E_HOST_COMMAND when that is not done in time, with what kubectl says of it.
 */
export async function drainNode(
  entry: Host,
  { rootfs, version }: ClusterContext,
  { name }: ClusterNode,
  timeoutMs: number,
  signal: AbortSignal | undefined,
  ask: Kubectl,
): Promise<void> {
  const seconds = Math.round(timeoutMs / 1000);
  const emptyDir = isAtLeast(version, '1.20') ? '--delete-emptydir-data' : '--delete-local-data';
  const args = ['drain', name, '--ignore-daemonsets', '--force', emptyDir, `--timeout=${seconds}s`];
  // What is passing is kubectl's to wait for: it tries to evict until its time is over.
  const { code, stderr } = await ask(entry, rootfs, args, {
    signal,
    timeoutMs: timeoutMs + 60_000,
    title: `draining ${name}`,
    allowFailure: true,
  });
  if (code === 0) return;
  throw new SlipwayError(
    'E_HOST_COMMAND',
    `node ${name} could not be drained within ${seconds} s\n${lastLines(stderr)}`,
    {
      hint: `a disruption budget may hold its pods: give them room elsewhere, or more time with --drain-timeout; 0 does not wait for them. Meanwhile it takes no new pods ("kubectl uncordon ${name}" changes that)`,
    },
  );
}

function lastLines(text: string): string {
  return text.trim().split('\n').slice(-8).join('\n');
}

import type { CliContext } from './context.js';
import { type LaunchFlags, type LaunchRequest, launchRequest } from './launch-flags.js';
import { drainTimeoutMs, type RemovalFlags } from './removal-flags.js';
import { sshFlags } from './ssh-flags.js';
import { batchOf } from './upgrade-flags.js';

/** What making a cluster what a Clusterfile says takes: hosts may leave, and another image is upgraded to. */
export async function applyRequest(
  context: CliContext,
  flags: LaunchFlags & Pick<RemovalFlags, 'drainTimeout'> & { readonly batch?: string },
  image: string | undefined,
): Promise<LaunchRequest> {
  const request = await launchRequest(context, flags, image);
  const drain = { drainTimeoutMs: drainTimeoutMs(flags) };
  const removal = { ...drain, ssh: await sshFlags(flags) };
  const upgrade = { change: 'upgrade' as const, batch: batchOf(flags) };
  return { ...request, options: { ...request.options, ...drain, removal, upgrade } };
}

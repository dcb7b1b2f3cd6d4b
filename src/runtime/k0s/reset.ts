import { SlipwayError } from '../../base/errors.js';
import type { Host } from '../../hosts/host.js';
import type { DriverStep } from '../driver.js';
import { onHost } from '../kubernetes/ask.js';
import { removeRootKubeconfig } from './kubeconfig.js';
import { K0S_RESET_SCRIPT, LEFTOVERS_SCRIPT, REMOVE_REMAINS_SCRIPT } from './reset-script.js';

const RESET_TIMEOUT_MS = 10 * 60_000;

/** Takes everything of k0s off a host. Needs neither the image nor a working cluster, nor k0s itself. */
export function resetStep(host: Host): DriverStep {
  return {
    title: 'k0s reset',
    done: async () => (await leftovers(host)).length === 0,
    async run(_note, signal) {
      await k0sReset(host, signal);
      await removeRootKubeconfig(host);
      const left = await leftovers(host);
      if (left.length > 0) {
        throw new SlipwayError('E_CLUSTER_STATE', `${host.address}: could not be removed: ${left.join(', ')}`, {
          hint: 'find out what holds it (a mount, a process), then run the same command again',
        });
      }
    },
  };
}

/** Stops k0s, lets it clean up, and removes what it leaves: its configuration, its program, processes, mounts and networks. */
export async function k0sReset(host: Host, signal?: AbortSignal): Promise<void> {
  const options = { signal, timeoutMs: RESET_TIMEOUT_MS };
  await onHost(host, undefined, K0S_RESET_SCRIPT, { ...options, title: 'k0s reset' });
  await onHost(host, undefined, REMOVE_REMAINS_SCRIPT, { ...options, title: 'removing the remains of k0s' });
}

async function leftovers(host: Host): Promise<string[]> {
  const { stdout } = await onHost(host, undefined, LEFTOVERS_SCRIPT, {
    title: 'looking for remains of k0s',
    timeoutMs: 60_000,
  });
  return stdout.split('\n').filter((line) => line !== '');
}

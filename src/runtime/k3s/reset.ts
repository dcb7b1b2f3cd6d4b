import { SlipwayError } from '../../base/errors.js';
import type { Host } from '../../hosts/host.js';
import type { DriverStep } from '../driver.js';
import { onHost } from './commands.js';
import { PATHS } from './paths.js';
import { LEFTOVERS_SCRIPT, RESET_SCRIPT } from './reset-script.js';

const RESET_TIMEOUT_MS = 5 * 60_000;

/** Takes everything of k3s off a host. Needs neither the image nor a working cluster. */
export function resetStep(host: Host): DriverStep {
  return {
    title: 'remove k3s',
    done: async () => (await leftovers(host)).length === 0,
    async run(_note, signal) {
      await removeK3s(host, signal);
      const left = await leftovers(host);
      if (left.length > 0) {
        throw new SlipwayError('E_CLUSTER_STATE', `${host.address}: could not be removed: ${left.join(', ')}`, {
          hint: 'find out what holds it (a mount, a process), then run the same command again',
        });
      }
    },
  };
}

/** Makes a host one that can begin again. The settings of registries stay: they were written for what begins now. */
export async function cleanHost(host: Host, signal?: AbortSignal): Promise<void> {
  const registries = await host.readFile(PATHS.registries);
  await removeK3s(host, signal);
  if (registries !== undefined) await host.writeFile(PATHS.registries, registries, { mode: 0o600 });
}

async function removeK3s(host: Host, signal?: AbortSignal): Promise<void> {
  await onHost(host, RESET_SCRIPT, { signal, timeoutMs: RESET_TIMEOUT_MS, title: 'removing k3s' });
}

async function leftovers(host: Host): Promise<string[]> {
  const { stdout } = await host.run(LEFTOVERS_SCRIPT, { title: 'looking for remains of k3s', timeoutMs: 60_000 });
  return stdout.split('\n').filter((line) => line !== '');
}

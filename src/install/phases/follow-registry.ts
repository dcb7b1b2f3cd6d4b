import type { Host } from '../../hosts/host.js';
import { inputsDigest, type Step, stepId } from '../plan/step.js';
import { isLedToRegistry, leadToRegistry, type WayAccess } from '../registry/registry-way.js';

/** Lets the hosts that stay ask the registries that stay. Where there is only one, it stays, and nothing is to do. */
export function followRegistrySteps(way: WayAccess, hosts: readonly Host[]): readonly Step[] {
  if (!way.ha || way.servers.length === 0) return [];
  return hosts.map((host) => ({
    id: stepId('follow-registry', host.address),
    host: host.address,
    title: `find the registries ${way.servers.join(', ')}`,
    why: 'they may come and go',
    inputs: inputsDigest('follow-registry', way),
    proof: 'check',
    check: async () => ({ holds: await isLedToRegistry(host, way) }),
    run: async () => {
      await leadToRegistry(host, way);
      return undefined;
    },
  }));
}

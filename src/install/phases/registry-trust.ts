import { inputsDigest, type Phase, stepId } from '../plan/step.js';
import { accessFacts } from '../registry/registry-access.js';
import { acceptNext, acceptsNext, knownRegistry } from '../registry/registry-trust.js';
import type { InstallWork } from '../work.js';

/**
 * Before the registry gets another certificate or password every host that pulls from it accepts both, the old and the new: no pull fails in
 * between. That the old ones are not accepted any more is seen to when the registry has the new ones ({@link mirrorsPhase}).
 */
export const registryTrustPhase: Phase<InstallWork> = {
  name: 'registry-trust',
  title: 'Let the hosts accept what the registry will have',
  steps: ({ hosts, begun, registry, upstreams }) => {
    if (!begun || registry === undefined) return [];
    return hosts.map(({ address, host }) => ({
      id: stepId('registry-trust', address),
      host: address,
      title: 'accept the certificate and password that the registry will have',
      why: 'pulls go on while they change',
      inputs: inputsDigest('registry-trust', ...accessFacts(registry)),
      proof: 'check',
      check: async () => {
        const known = await knownRegistry(host, registry);
        return { holds: known === undefined || acceptsNext(known, registry) };
      },
      run: async () => {
        const known = await knownRegistry(host, registry);
        if (known !== undefined) await acceptNext(host, known, registry, upstreams);
        return undefined;
      },
    }));
  },
};

import { hasHostsBlock, setHostsBlock } from '../../runtime/etc-hosts.js';
import { inputsDigest, type Phase, stepId } from '../plan/step.js';
import type { InstallWork } from '../work.js';

/** The name of our block in /etc/hosts. */
export const ALIASES_HOSTS_BLOCK = 'aliases';

/** Lets every host find other machines by the names that were given. */
export const aliasesPhase: Phase<InstallWork> = {
  name: 'aliases',
  title: 'Name other machines',
  steps: ({ hosts, spec: { hostAliases }, begun }) => {
    // On a cluster that was begun, names of an earlier time may have to go.
    if (hostAliases.length === 0 && !begun) return [];
    const count = hostAliases.reduce((sum, { names }) => sum + names.length, 0);
    return hosts.map(({ address, host }) => ({
      id: stepId('aliases', address),
      host: address,
      title: count === 0 ? 'no names in /etc/hosts' : `${count} ${count === 1 ? 'name' : 'names'} in /etc/hosts`,
      why: 'hostAliases',
      inputs: inputsDigest(hostAliases),
      proof: 'check',
      check: async () => ({ holds: await hasHostsBlock(host, ALIASES_HOSTS_BLOCK, hostAliases) }),
      run: async () => {
        await setHostsBlock(host, ALIASES_HOSTS_BLOCK, hostAliases);
        return undefined;
      },
    }));
  },
};

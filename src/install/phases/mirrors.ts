import { hasHostsBlock, setHostsBlock } from '../../runtime/etc-hosts.js';
import { inputsDigest, type Phase, stepId } from '../plan/step.js';
import { presentFiles } from '../registry/cluster-registry.js';
import { mirrorFiles } from '../registry/registry-mirrors.js';
import type { InstallWork } from '../work.js';

/** The name of our block in /etc/hosts. */
export const REGISTRY_HOSTS_BLOCK = 'registry';

/** Lets every host trust the cluster's registry, find it by its name, and ask it for images of every upstream registry. */
export const mirrorsPhase: Phase<InstallWork> = {
  name: 'mirrors',
  title: 'Let the hosts pull from the registry',
  steps: ({ hosts, registryAddress, upstreams, spec, registry }) => {
    if (registry === undefined) return [];
    const files = mirrorFiles(spec.registry, upstreams, registry.ca);
    const lines = [{ address: registryAddress, names: [spec.registry.domain] }];
    return hosts.map(({ address, host }) => ({
      id: stepId('mirrors', address),
      host: address,
      title: `trust ${spec.registry.domain}, mirror ${upstreams.join(', ') || 'nothing'}`,
      why: 'pods find their images without internet',
      // without the password: a digest of it could be guessed from
      inputs: inputsDigest(spec.registry.domain, spec.registry.port, upstreams, registry.ca, lines),
      proof: 'check',
      check: async () => ({
        holds: (await presentFiles(host, files)) && (await hasHostsBlock(host, REGISTRY_HOSTS_BLOCK, lines)),
      }),
      run: async () => {
        await setHostsBlock(host, REGISTRY_HOSTS_BLOCK, lines);
        for (const { path, content, mode } of files) await host.writeFile(path, content, { mode });
        return undefined;
      },
    }));
  },
};

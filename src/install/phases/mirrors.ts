import type { Host } from '../../hosts/host.js';
import { inputsDigest, type Phase, stepId } from '../plan/step.js';
import { presentFiles } from '../registry/present-files.js';
import { accessFacts, type RegistryAccess, registryName } from '../registry/registry-access.js';
import { runtimeMirrorFiles } from '../registry/registry-mirrors.js';
import { isLedToRegistry, leadToRegistry } from '../registry/registry-way.js';
import type { InstallWork } from '../work.js';

/** Lets every host trust the cluster's registry, find it by its name, and ask it for images of every upstream registry. */
export const mirrorsPhase: Phase<InstallWork> = {
  name: 'mirrors',
  title: 'Let the hosts pull from the registry',
  steps: ({ hosts, registry, upstreams, driver }) => {
    if (registry === undefined) return [];
    const files = runtimeMirrorFiles(driver, registry, upstreams);
    return hosts.map(({ address, host }) => ({
      id: stepId('mirrors', address),
      host: address,
      title: `trust ${registryTitle(registry)}, mirror ${upstreams.join(', ') || 'nothing'}`,
      why: registry.external ? 'pods find their images there' : 'pods find their images without internet',
      // without the password: a digest of it could be guessed from
      inputs: inputsDigest(...accessFacts(registry), upstreams),
      proof: 'check',
      check: async () => {
        const checks = await Promise.all([presentFiles(host, files), isLedToRegistry(host, registry)]);
        return { holds: !checks.includes(false) };
      },
      run: async () => {
        await leadToRegistry(host, registry);
        await Promise.all(files.map(({ path, content, mode }) => host.writeFile(path, content, { mode })));
        if (registry.external) await reach(host, registry);
        return undefined;
      },
    }));
  },
};

function registryTitle(registry: RegistryAccess): string {
  if (registry.external) return `the external registry ${registryName(registry)}`;
  const count = registry.servers.length;
  return count === 1 ? registry.domain : `${registry.domain} on ${count} masters`;
}

/** A host from which the registry cannot be reached is told now, not when pods wait for images. */
async function reach(host: Host, registry: RegistryAccess): Promise<void> {
  const { domain, port } = registry;
  await host.run(
    `timeout 10 bash -c 'exec 3<>/dev/tcp/${domain}/${port}' 2>/dev/null && exit 0
if getent hosts ${domain} >/dev/null; then echo 'no connection to the registry ${domain}:${port}' >&2
else echo 'the name of the registry ${domain} is not known here: give it in hostAliases, or to the name servers' >&2; fi
exit 1`,
    { title: `reaching the registry ${domain}:${port}`, timeoutMs: 30_000 },
  );
}

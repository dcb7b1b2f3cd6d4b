import { makeDirectory } from '../../base/make-directory.js';
import type { Host } from '../../hosts/host.js';
import { shellQuote } from '../../hosts/shell-script.js';
import { replaceFile } from '../../store/durable.js';
import { registryFiles } from '../registry/cluster-registry.js';
import { CONTAINERD_CERTS, MIRROR_MARK } from '../registry/registry-mirrors.js';
import type { HostPaths, StatePaths } from '../state/cluster-paths.js';
import type { ClusterState } from '../state/cluster-state.js';

type Registry = ClusterState['registry'];

/**
 * The registry of a cluster, by what Slipway wrote on a host that pulls from it: the directory of containerd's that has our CA beside our
 * settings. Undefined when there is none.
 */
export async function findRegistry(host: Host): Promise<Pick<Registry, 'domain' | 'port'> | undefined> {
  const { stdout } = await host.run(
    `for dir in ${CONTAINERD_CERTS}/*/; do
  [ -f "$dir/ca.crt" ] && [ "$(head -n 1 "$dir/hosts.toml" 2>/dev/null)" = ${shellQuote(MIRROR_MARK)} ] && basename "$dir"
done
true`,
    { title: 'looking for the registry of the cluster', timeoutMs: 60_000 },
  );
  const [, domain, port] = /^([a-z0-9.-]+):(\d{1,5})$/m.exec(stdout) ?? [];
  return domain === undefined ? undefined : { domain, port: Number(port) };
}

/** Whether a master serves the registry: it has the key. */
export function servesRegistry(master: Host, { rootfs }: HostPaths, domain: string): Promise<boolean> {
  return master.exists(registryFiles(rootfs, domain).key);
}

/** The user that the registry asks for, when it asks. */
export async function registryUser(master: Host, { rootfs }: HostPaths, domain: string): Promise<string | undefined> {
  const text = (await master.readFile(registryFiles(rootfs, domain).htpasswd))?.toString('utf8');
  return text?.split(':', 1)[0];
}

/**
 * Fetches the registry's CA, certificate and key from the master that serves it, so that none of it is made anew. The key of the CA was only
 * on the machine that is lost: with another set of names another CA comes, to all hosts.
 */
export async function fetchRegistryKeys(
  master: Host,
  paths: HostPaths,
  { domain, port }: Registry,
  { pki }: Pick<StatePaths, 'pki'>,
): Promise<void> {
  const { certificate, key } = registryFiles(paths.rootfs, domain);
  const found = [
    ['ca.crt', await master.readFile(`${CONTAINERD_CERTS}/${domain}:${port}/ca.crt`)],
    ['registry.key', await master.readFile(key)],
    ['registry.crt', await master.readFile(certificate)],
  ] as const;
  if (found.some(([, bytes]) => bytes === undefined)) return;
  await makeDirectory(pki, 0o700);
  for (const [name, bytes] of found) {
    const file = `${pki}/${name}`;
    await replaceFile(file, `${file}.new`, bytes?.toString('utf8') ?? '', 0o600);
  }
}

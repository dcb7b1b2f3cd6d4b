import type { Host } from '../../hosts/host.js';
import type { RuntimeDriver } from '../../runtime/driver.js';
import { waitFor } from '../../runtime/wait.js';
import { PODS_TEMPLATE, parsePods } from '../check/pods.js';

/** sealer's patience. */
const DEFAULT_TIMEOUT_MS = 15 * 60_000;

/** Whether all nodes are Ready, and all pods of Kubernetes itself. Asks the cluster; one that does not answer is not whole. */
export async function clusterIsWhole(driver: RuntimeDriver, master: Host, rootfs: string): Promise<boolean> {
  try {
    return (await whatIsMissing(driver, master, rootfs)).length === 0;
  } catch {
    return false;
  }
}

/** Waits until it is so. @throws SlipwayError E_TIMEOUT with what is missing, E_INTERRUPTED. */
export async function waitForCluster(
  driver: RuntimeDriver,
  master: Host,
  rootfs: string,
  {
    name,
    timeoutMs = DEFAULT_TIMEOUT_MS,
    signal,
  }: { readonly name: string; readonly timeoutMs: number | undefined; readonly signal: AbortSignal },
): Promise<void> {
  await waitFor(async () => ((await clusterIsWhole(driver, master, rootfs)) ? true : undefined), {
    what: `cluster ${name} to be whole`,
    timeoutMs,
    intervalMs: 3000,
    signal,
    explain: async () => (await whatIsMissing(driver, master, rootfs)).map((line) => `  ${line}`).join('\n'),
    hint: 'a network add-on that is launched later cannot be waited for before: name another phase, such as PostInstall',
  });
}

async function whatIsMissing(driver: RuntimeDriver, master: Host, rootfs: string): Promise<readonly string[]> {
  const nodes = await driver.nodes(master, { rootfs });
  const { stdout } = await driver.kubectl(
    master,
    rootfs,
    ['-n', 'kube-system', 'get', 'pods', '-o', `go-template=${PODS_TEMPLATE}`],
    { title: 'kubectl get pods' },
  );
  return [
    ...nodes.filter(({ ready }) => !ready).map(({ name, condition }) => `node ${name}: ${condition}`),
    ...parsePods(stdout).map(
      ({ name, phase, reasons }) =>
        `pod ${name}: ${[phase, ...new Set(reasons)].filter((word) => word !== '').join('; ')}`,
    ),
  ];
}

import { leftOutError, type RunResult } from '../install/run-cluster.js';
import type { CliContext } from './context.js';

/**
 * Prints what `run`, `apply` and `join` have made of a cluster.
 * @param hosts how many it was to have.
 * @throws SlipwayError when hosts were left out: the cluster is up all the same.
 */
export function printResult({ out, json, quiet }: CliContext, result: RunResult, hosts: number): void {
  const { cluster, version, kubeconfig, nodes, ran, skipped, removed, leaving } = result;
  if (json) {
    const failures = result.failures.map(({ code, message }) => ({ code, message }));
    out.json({ cluster, version, kubeconfig, nodes, ran, skipped, failures, removed, leaving });
  } else if (quiet) out.line(kubeconfig);
  else {
    out.table([
      ['NODE', 'ADDRESS', 'ROLE', 'VERSION', 'STATUS'],
      ...nodes.map((node) => [
        node.name,
        node.addresses[0] ?? '',
        node.controlPlane ? 'control-plane' : 'worker',
        node.version,
        node.ready ? 'Ready' : 'NotReady',
      ]),
    ]);
    out.line();
    if (removed.length > 0) out.line(`Taken out and cleaned: ${removed.join(', ')}.`);
    out.line(`Cluster ${cluster} is up (Kubernetes ${version}): ${ran} steps done, ${skipped} were done already.`);
    out.line(`  export KUBECONFIG=${kubeconfig}`);
  }
  const leftOut = leftOutError(result, hosts);
  if (leftOut !== undefined) throw leftOut;
}

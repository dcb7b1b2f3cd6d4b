import { counted } from '../base/format.js';
import { productName } from '../install/plan/plan.js';
import { leftOutError, type RunResult } from '../install/run-cluster.js';
import type { CliContext } from './context.js';

/** `1 step done, 47 were done already` */
export function stepsDone(ran: number, skipped: number): string {
  return `${counted(ran, 'step')} done, ${skipped} ${skipped === 1 ? 'was' : 'were'} done already`;
}

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
    out.line(`Cluster ${cluster} is up (${productName(version)}): ${stepsDone(ran, skipped)}.`);
    out.line(`  export KUBECONFIG=${kubeconfig}`);
  }
  const leftOut = leftOutError(result, hosts);
  if (leftOut !== undefined) throw leftOut;
}

import { type ClusterAnswer, nodeAt } from '../cluster-hosts/ask-cluster.js';
import type { ClusterState } from '../state/cluster-state.js';
import type { Finding } from './finding.js';
import { takeOut } from './host-checks.js';

/** Whether the last command on the cluster came to its end. Pure. */
export function launchFindings({
  name,
  phase,
  changing,
  image,
}: Pick<ClusterState, 'name' | 'phase' | 'changing' | 'image'>): Finding[] {
  if (phase === 'running') {
    if (changing === undefined) return [];
    return [
      {
        severity: 'problem',
        host: null,
        check: 'launch',
        what: `the ${changing} to ${image.name} is not finished`,
        why: 'it failed or was stopped',
        fix:
          changing === 'rollback'
            ? `slipway rollback --cluster ${name}`
            : `slipway upgrade ${image.name} --cluster ${name}, or slipway rollback`,
      },
    ];
  }
  const half = phase === 'resetting';
  return [
    {
      severity: 'problem',
      host: null,
      check: 'launch',
      what: half ? `cluster ${name} is half taken away` : `cluster ${name} was not launched to its end`,
      why: half ? 'a "reset" has not come to its end' : 'the last "run" failed, was stopped, or runs now',
      fix: half ? `finish it: slipway reset --cluster ${name}` : 'give the same command again: it goes on from there',
    },
  ];
}

/** What is wrong with the nodes of a cluster. Pure. */
export function nodeFindings({ name, hosts }: Pick<ClusterState, 'name' | 'hosts'>, cluster: ClusterAnswer): Finding[] {
  if (cluster.master === undefined) {
    return [
      {
        severity: 'problem',
        host: null,
        check: 'api-server',
        what: `cluster ${name} does not answer`,
        why: cluster.why,
        fix: 'see on a master: "crictl ps -a" and "journalctl -u kubelet"',
      },
    ];
  }
  const { nodes } = cluster;
  return [
    ...nodes
      .filter(({ ready }) => !ready)
      .map(
        (node): Finding => ({
          severity: 'problem',
          host: hosts.find(({ address }) => node.addresses.includes(address))?.address ?? null,
          check: 'nodes',
          what: `node ${node.name} is not Ready`,
          why: node.condition,
          fix: `kubectl describe node ${node.name}; "journalctl -u kubelet" on the host`,
        }),
      ),
    ...hosts
      .filter((host) => host.leaving !== true && nodeAt(nodes, host.address) === undefined)
      .map(
        ({ address, roles }): Finding => ({
          severity: 'problem',
          host: address,
          check: 'nodes',
          what: 'the host is no node of the cluster',
          why: `it is known as a host of ${name}, and no node has its address`,
          fix: `the command again that named it (join, apply, run): what is missing is done; if it is not to be one: ${takeOut(address, roles, name)}`,
        }),
      ),
    ...nodes
      .filter(({ addresses }) => !hosts.some(({ address }) => addresses.includes(address)))
      .map(
        (node): Finding => ({
          severity: 'problem',
          host: null,
          check: 'nodes',
          what: `node ${node.name} is on no host that is known`,
          why: `none of its addresses (${node.addresses.join(', ')}) is one of a host of ${name}`,
          fix: `if nobody misses it: kubectl delete node ${node.name}`,
        }),
      ),
  ];
}

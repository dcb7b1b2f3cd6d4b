import { isIPv6 } from 'node:net';
import { SlipwayError } from '../../base/errors.js';
import type { Host } from '../../hosts/host.js';
import { shellQuote } from '../../hosts/shell-script.js';

/** Whether networks, with commas between, are of both families. Pure. */
export function isDualStack(cidrs: string): boolean {
  const six = cidrs.split(',').map((cidr) => cidr.includes(':'));
  return six.includes(true) && six.includes(false);
}

/**
 * What a node says are its addresses: the one by which the cluster knows its host, and in a cluster with networks of both families also one
 * of the other family, of the same network interface.
 * @throws SlipwayError E_PREFLIGHT when it has none
 */
export async function nodeIps(host: Host, dualStack: boolean): Promise<readonly string[]> {
  if (!dualStack) return [host.address];
  const other = isIPv6(host.address) ? 4 : 6;
  const { stdout } = await host.run(
    `dev=$(ip -o addr show to ${shellQuote(host.address)} | awk '{ print $2; exit }')
[ -n "$dev" ] || exit 0
ip -${other} -o addr show dev "$dev" scope global | grep -vE ' (temporary|deprecated|tentative|dadfailed)' | awk '{ sub("/.*", "", $4); print $4 }' | sort`,
    { title: `looking for an address of IPv${other}`, timeoutMs: 30_000, allowFailure: true },
  );
  const [second] = stdout.split('\n');
  if (second !== undefined && second !== '') return [host.address, second];
  throw new SlipwayError(
    'E_PREFLIGHT',
    `host ${host.address} has no address of IPv${other} beside that one, and the cluster has networks of both families`,
    {
      hint: `give the network interface that has ${host.address} one, or take the networks of IPv${other} out of the documents`,
    },
  );
}

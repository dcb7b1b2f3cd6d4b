import { BlockList, isIP, isIPv4, isIPv6 } from 'node:net';
import { ipFromNumber, ipToNumber } from './ip-list.js';

/** Whether an address is in a network `10.0.0.0/8`, or in one of several separated by commas. Nonsense contains nothing. */
export function rangeContains(ranges: string, address: string): boolean {
  return ranges.split(',').some((range) => {
    const [network = '', prefix = ''] = range.trim().split('/');
    if (isIP(network) === 0 || isIP(network) !== isIP(address) || !/^\d{1,3}$/.test(prefix)) return false;
    const family = isIPv6(network) ? 'ipv6' : 'ipv4';
    if (Number(prefix) > (family === 'ipv6' ? 128 : 32)) return false;
    const list = new BlockList();
    list.addSubnet(network, Number(prefix), family);
    return list.check(address, family);
  });
}

/** The address number `index` of a network (0 is the network's own); undefined when it has no such address. */
export function addressIn(range: string, index: number): string | undefined {
  const [network = '', prefix = ''] = range.split(',')[0]?.trim().split('/') ?? [];
  const number = ipToNumber(network);
  if (number === undefined || !/^\d+$/.test(prefix)) return undefined;
  const size = 1n << BigInt(number.bits - Number(prefix));
  const first = number.value - (number.value % size);
  return BigInt(index) < size ? ipFromNumber(first + BigInt(index), number.bits) : undefined;
}

/** The /24 number `index` of an IPv4 network, for pods of one host; undefined when there is none. */
export function podRange(range: string, index: number): string | undefined {
  const [network = ''] = range.split('/');
  if (!isIPv4(network.trim())) return undefined;
  const first = addressIn(range, index * 256);
  return first === undefined || addressIn(range, index * 256 + 255) === undefined ? undefined : `${first}/24`;
}

import type { IncomingMessage } from 'node:http';
import { isIPv6 } from 'node:net';

/**
 * Who a request comes from, as far as it can be told apart: an IPv4 address, or the 64 bits of an IPv6 address that a network is given. Within
 * those a machine has as many addresses as it likes.
 */
export function clientOf({ socket }: Pick<IncomingMessage, 'socket'>): string {
  return clientAt(socket.remoteAddress ?? '');
}

/** {@link clientOf} for an address as the system writes it. */
export function clientAt(address: string): string {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1];
  if (mapped !== undefined) return mapped;
  const bare = address.replace(/%.*$/, '');
  if (!isIPv6(bare)) return address;
  const [head = '', tail] = bare.split('::');
  const groups = head === '' ? [] : head.split(':');
  if (tail !== undefined) {
    const rest = tail === '' ? [] : tail.split(':');
    while (groups.length + rest.length < 8) groups.push('0');
    groups.push(...rest);
  }
  return `${groups
    .slice(0, 4)
    .map((group) => Number.parseInt(group, 16).toString(16))
    .join(':')}::/64`;
}

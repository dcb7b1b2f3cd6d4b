import { isIP, isIPv4 } from 'node:net';

/** More addresses than this in one range are taken for a slip of the fingers. */
const LARGEST_RANGE = 1000;

/** What an IP list says: the addresses in order, and every mistake found. */
export interface IpList {
  readonly addresses: readonly string[];
  /** One sentence each: `"10.0.0" is not an IP address`. */
  readonly mistakes: readonly string[];
}

/**
 * Reads a list of IP addresses as people give them: separated by commas or blanks, with ranges `10.0.0.2-10.0.0.5` (both ends
 * included). IPv6 is understood, also in ranges; addresses are given back in their shortest form.
 */
export function parseIpList(text: string): IpList {
  const addresses: string[] = [];
  const mistakes: string[] = [];
  for (const item of text.split(/[\s,]+/).filter((part) => part !== '')) {
    const read = readItem(item);
    if (typeof read === 'string') mistakes.push(read);
    else addresses.push(...read);
  }
  return { addresses, mistakes };
}

/**
 * The shortest form of an address, so that equal addresses are equal texts; undefined when it is none. One with a zone (`fe80::1%eth0`)
 * is none: it means something on this machine only.
 */
export function normalizeIp(text: string): string | undefined {
  if (isIP(text) === 0 || text.includes('%')) return undefined;
  return isIPv4(text) ? text : new URL(`http://[${text}]`).hostname.slice(1, -1);
}

function readItem(item: string): string[] | string {
  const one = normalizeIp(item);
  if (one !== undefined) return [one];
  const dash = item.indexOf('-');
  if (dash < 0 || NAME.test(item)) return `${JSON.stringify(item)} is not an IP address${itemHint(item)}`;
  const first = ipToNumber(item.slice(0, dash));
  const last = ipToNumber(item.slice(dash + 1));
  if (first === undefined || last === undefined || first.bits !== last.bits) {
    return `${JSON.stringify(item)} is not a range of IP addresses; write it like 10.0.0.2-10.0.0.5`;
  }
  if (last.value < first.value) return `the range ${item} ends before it begins`;
  const count = last.value - first.value + 1n;
  if (count > LARGEST_RANGE) return `the range ${item} has ${count} addresses; the most is ${LARGEST_RANGE}`;
  return Array.from({ length: Number(count) }, (_, index) => ipFromNumber(first.value + BigInt(index), first.bits));
}

/** `web-1.plant.example`: a name with dashes is no range. */
const NAME = /^[a-z][a-z\d.-]*$/i;

function itemHint(item: string): string {
  if (NAME.test(item)) return '; hosts are given by their addresses, not by names';
  return /^[\d.]+:\d+$/.test(item) ? '; the port of SSH is given with --port' : '';
}

/** An address as a number; undefined when it is none. */
export function ipToNumber(text: string): { readonly value: bigint; readonly bits: 32 | 128 } | undefined {
  const address = normalizeIp(text);
  if (address === undefined) return undefined;
  if (isIPv4(address)) {
    return { value: address.split('.').reduce((sum, part) => sum * 256n + BigInt(part), 0n), bits: 32 };
  }
  const [head = '', tail] = address.split('::');
  const groups = (part: string) => part.split(':').filter((group) => group !== '');
  const before = groups(head);
  const after = groups(tail ?? '');
  const all = [...before, ...Array<string>(8 - before.length - after.length).fill('0'), ...after];
  return { value: all.reduce((sum, group) => sum * 65536n + BigInt(`0x${group}`), 0n), bits: 128 };
}

/** The address that a number is. */
export function ipFromNumber(value: bigint, bits: 32 | 128): string {
  const size = bits === 32 ? 8n : 16n;
  const count = bits / Number(size);
  const parts = Array.from(
    { length: count },
    (_, index) => (value >> (BigInt(count - 1 - index) * size)) & ((1n << size) - 1n),
  );
  if (bits === 32) return parts.join('.');
  return normalizeIp(parts.map((part) => part.toString(16)).join(':')) ?? '';
}

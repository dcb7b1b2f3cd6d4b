import { readFileSync } from 'node:fs';
import { networkInterfaces } from 'node:os';

/**
 * The address by which other hosts reach this machine: the one of the interface that the default route goes through, else the first that
 * is not a loopback; undefined when there is none. A cluster cannot be made of 127.0.0.1.
 */
export function thisMachine(): string | undefined {
  const interfaces = networkInterfaces();
  const names = [defaultInterface(), ...Object.keys(interfaces)].filter((name) => name !== undefined);
  for (const name of names) {
    const found = interfaces[name]?.find(({ family, internal }) => family === 'IPv4' && !internal);
    if (found !== undefined) return found.address;
  }
  return undefined;
}

/** proc(5), /proc/net/route: destination 0 is the default route. */
function defaultInterface(): string | undefined {
  try {
    const lines = readFileSync('/proc/net/route', 'utf8').split('\n').slice(1);
    return lines.map((line) => line.split('\t')).find(([, destination]) => destination === '00000000')?.[0];
  } catch {
    return undefined;
  }
}

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type PlacedMount, SANDBOX_HOST_NAME } from './bwrap-arguments.js';

const LOCAL_HOSTS = '127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n';

/**
 * Texts of the files that a container mode command finds in /etc, by name: this machine's resolver and host names, of which none
 * enters a layer. Without a network there is nobody to ask, and only this machine has a name.
 */
export function networkFiles(network: 'host' | 'none'): Readonly<Record<string, string>> {
  const name = `127.0.0.1\t${SANDBOX_HOST_NAME}\n`;
  if (network === 'none') return { 'resolv.conf': '', hosts: LOCAL_HOSTS + name };
  const hosts = readText('/etc/hosts') ?? LOCAL_HOSTS;
  return {
    'resolv.conf': readText('/etc/resolv.conf') ?? '',
    hosts: `${hosts}${hosts.endsWith('\n') ? '' : '\n'}${name}`,
  };
}

/** The mounts of these files from the run directory, by name and place in the rootfs. */
export function networkFileMounts(
  runDirectory: string,
  places: Readonly<Record<string, string>>,
): readonly PlacedMount[] {
  return Object.entries(places).map(([name, place]) => {
    const source = join(runDirectory, 'etc', name);
    return { mount: { type: 'bind', source, target: place, readonly: true }, place, source };
  });
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}

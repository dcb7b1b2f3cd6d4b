/** Docker Hub's API is not where its name says. */
const DOCKER_HUB_API = 'registry-1.docker.io';

/** `name:port` where the API of a registry answers. */
export function apiHost(host: string): string {
  return host === 'docker.io' || host === 'index.docker.io' ? DOCKER_HUB_API : host;
}

/** True for `localhost`, names below it, 127.0.0.0/8 and ::1: `host` may carry a port. */
export function isLoopback(host: string): boolean {
  const name = host
    .replace(/:\d+$/, '')
    .replace(/^\[(.*)\]$/, '$1')
    .toLowerCase();
  return name === 'localhost' || name.endsWith('.localhost') || name === '::1' || /^127(?:\.\d{1,3}){3}$/.test(name);
}

/** {@link isLoopback}, and what the kernel takes for it: addresses without a meaning elsewhere, and IPv4 ones written as IPv6. */
export function isThisMachine(host: string): boolean {
  const name = host.replace(/:\d+$/, '').replace(/^\[(.*)\]$/, '$1');
  return (
    isLoopback(host) ||
    name === '0.0.0.0' ||
    name === '::' ||
    /^::ffff:(?:7f[0-9a-f]{2}:|127\.|0:0$|0\.0\.0\.0$)/i.test(name)
  );
}

/** The port of `name:port`, undefined when it has none. */
export function portOf(host: string): number | undefined {
  const port = /:(\d+)$/.exec(host.replace(/^\[[^\]]*\]/, ''))?.[1];
  return port === undefined ? undefined : Number(port);
}

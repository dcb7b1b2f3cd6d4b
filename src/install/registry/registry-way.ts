import type { Host } from '../../hosts/host.js';
import { type HostsEntry, hasHostsBlock, setHostsBlock } from '../../runtime/etc-hosts.js';
import { presentFiles } from './present-files.js';
import type { RegistryAccess } from './registry-access.js';
import type { HostFile } from './registry-mirrors.js';
import { WAY, WAY_SCRIPT, WAY_UNIT } from './way-script.js';

/** What of a {@link RegistryAccess} decides where its name leads. */
export type WayAccess = Pick<RegistryAccess, 'domain' | 'port' | 'servers' | 'ha'>;

/** Whether the registry's name leads to its server on this host; where it may be one of several, whether that is looked after. */
export async function isLedToRegistry(host: Host, access: WayAccess): Promise<boolean> {
  const files = wayFiles(access);
  if (files.length === 0) {
    const [led, several] = await Promise.all([
      hasHostsBlock(host, WAY.block, hostsEntries(access)),
      host.exists(WAY.config),
    ]);
    return led && !several;
  }
  if (!(await presentFiles(host, files))) return false;
  const { code } = await host.run(
    `systemctl is-active -q ${WAY.service} && grep -q '^# BEGIN slipway ${WAY.block}$' /etc/hosts`,
    { title: 'looking whether the way to the registry is looked after', allowFailure: true, timeoutMs: 30_000 },
  );
  return code === 0;
}

/** Lets the registry's name on this host lead to a server that answers, now and from now on. An external one has its name of others. */
export async function leadToRegistry(host: Host, access: WayAccess): Promise<void> {
  const files = wayFiles(access);
  if (files.length === 0) {
    await endWay(host);
    await setHostsBlock(host, WAY.block, hostsEntries(access));
    return;
  }
  await Promise.all(files.map(({ path, content, mode }) => host.writeFile(path, content, { mode })));
  await host.run(
    `${WAY.script} once || exit 1
systemctl daemon-reload
systemctl restart ${WAY.service} || exit 1
systemctl enable -q --no-reload ${WAY.service}`,
    { title: 'leading the host to the registry', timeoutMs: 60_000 },
  );
}

/** Takes away what looks after the name; the name stays as it is. */
export async function endWay(host: Host): Promise<void> {
  await host.run(
    `[ -e ${WAY.unit} ] || [ -e ${WAY.config} ] || exit 0
systemctl disable -q --now ${WAY.service} 2>/dev/null
rm -f ${WAY.unit} ${WAY.script} ${WAY.config} || exit 1
systemctl daemon-reload
rmdir ${WAY.script.slice(0, WAY.script.lastIndexOf('/'))} ${WAY.config.slice(0, WAY.config.lastIndexOf('/'))} 2>/dev/null
true`,
    { title: 'ending the look-out for the registry', timeoutMs: 60_000 },
  );
}

/** The lines of /etc/hosts where one server is all there is. Pure. */
export function hostsEntries({ domain, servers }: Pick<RegistryAccess, 'domain' | 'servers'>): readonly HostsEntry[] {
  const [server] = servers;
  return server === undefined ? [] : [{ address: server, names: [domain] }];
}

/** The files of the service; none where one server is all there ever is. Pure. */
export function wayFiles({ domain, port, servers, ha }: WayAccess): readonly HostFile[] {
  if (!ha || servers.length === 0) return [];
  return [
    { path: WAY.script, content: WAY_SCRIPT, mode: 0o755 },
    { path: WAY.unit, content: WAY_UNIT, mode: 0o644 },
    { path: WAY.config, content: `${domain} ${port}\n${servers.map((one) => `${one}\n`).join('')}`, mode: 0o644 },
  ];
}

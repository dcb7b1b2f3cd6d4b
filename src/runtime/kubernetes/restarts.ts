import { SlipwayError } from '../../base/errors.js';
import type { Host } from '../../hosts/host.js';

/** A service that ends and is started again so often is not coming up. Some times it may: kubelet gives up where a host is slow. */
const MOST_RESTARTS = 10;

/**
 * Gives up on a service that ends again and again, before the time is over that it is waited for.
 * @param log its last words
 * @throws SlipwayError E_HOST_COMMAND
 */
export async function failWhenItEndsAgain(
  host: Host,
  unit: string,
  { what, log }: { readonly what: string; readonly log: () => Promise<string> },
): Promise<void> {
  const restarts = await restartsOf(host, unit);
  if (restarts < MOST_RESTARTS) return;
  throw new SlipwayError(
    'E_HOST_COMMAND',
    `host ${host.address}: ${unit} ended ${restarts} times while waiting for ${what}\n${await log()}`,
    { hint: `look at "journalctl -u ${unit}" on ${host.address}` },
  );
}

/** Shell: prints what systemd says of a unit. `show -P` would, since systemd 246 alone: Ubuntu 20.04 and RHEL 8 have older ones. Pure. */
export function unitProperty(unit: string, property: string): string {
  return `systemctl show -p ${property} ${unit} | sed -n 's/^${property}=//p'`;
}

/** systemd counts starts by itself only, and from zero again when somebody starts the service. */
async function restartsOf(host: Host, unit: string): Promise<number> {
  const { stdout } = await host.run(unitProperty(unit, 'NRestarts'), {
    allowFailure: true,
    timeoutMs: 30_000,
    title: 'asking systemd how often it was started',
  });
  return Number(stdout.trim()) || 0;
}

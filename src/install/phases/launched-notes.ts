import type { Host } from '../../hosts/host.js';
import type { RuntimeDriver } from '../../runtime/driver.js';

/** In kube-system: of each launch command what was run last. A cluster that was made anew has launched nothing. */
const LAUNCHED = 'slipway-launched';

/** How a cluster is asked. */
export interface AskedMaster {
  readonly driver: Pick<RuntimeDriver, 'kubectl'>;
  readonly host: Host;
  /** The cluster's own. */
  readonly rootfs: string;
}

/** What has been launched: by the id of each command a digest of what it was made from. */
export async function launchedNotes({ driver, host, rootfs }: AskedMaster): Promise<ReadonlyMap<string, string>> {
  const { stdout } = await driver.kubectl(
    host,
    rootfs,
    [
      ...['-n', 'kube-system', 'get', 'configmap', LAUNCHED, '--ignore-not-found'],
      ...['-o', 'go-template={{range $id, $digest := .data}}{{$id}}={{$digest}}{{"\\n"}}{{end}}'],
    ],
    { title: 'looking what has been launched' },
  );
  return new Map(
    stdout.split('\n').flatMap((line) => {
      const equals = line.indexOf('=');
      return equals < 0 ? [] : [[line.slice(0, equals), line.slice(equals + 1)] as const];
    }),
  );
}

/** Notes what has been launched; null takes a note away. */
export async function noteLaunched(
  { driver, host, rootfs }: AskedMaster,
  data: Readonly<Record<string, string | null>>,
): Promise<void> {
  const title = 'noting what has been launched';
  // It may be there already: then the patch says all.
  await driver.kubectl(host, rootfs, ['-n', 'kube-system', 'create', 'configmap', LAUNCHED], {
    title,
    allowFailure: true,
  });
  const patch = JSON.stringify({ data });
  await driver.kubectl(
    host,
    rootfs,
    ['-n', 'kube-system', 'patch', 'configmap', LAUNCHED, '--type=merge', '-p', patch],
    { title },
  );
}

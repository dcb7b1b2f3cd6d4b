import type { Host } from '../../hosts/host.js';
import { shellQuote } from '../../hosts/shell-script.js';
import type { ClusterContext, DriverStep } from '../driver.js';
import { k3s, onHost } from './commands.js';
import { PATHS } from './paths.js';

const TIMEOUT_MS = 20 * 60_000;

/** Archives of k3s' images that a rootfs may bring (the registry's is not one of them). */
function archives(rootfs: string): string {
  return `${shellQuote(`${rootfs}/images`)}/k3s-airgap-images*.tar*`;
}

/**
 * Puts the archives of images that the rootfs brings where k3s imports them when it starts. Whole under their names: renamed into place. Those
 * of another version go.
 */
export async function placeArchives(host: Host, rootfs: string, signal?: AbortSignal): Promise<void> {
  await onHost(
    host,
    `umask 022
for f in ${archives(rootfs)}; do
  [ -f "$f" ] || continue
  mkdir -p ${PATHS.images} || exit 1
  to=${PATHS.images}/slipway-\${f##*/}
  cmp -s "$f" "$to" && continue
  cp "$f" ${PATHS.images}/.slipway-new && mv -f ${PATHS.images}/.slipway-new "$to" || exit 1
done
for f in ${PATHS.images}/slipway-*; do
  [ ! -e "$f" ] || [ -e ${shellQuote(`${rootfs}/images`)}/"\${f##*/slipway-}" ] || rm -f "$f"
done`,
    { signal, timeoutMs: TIMEOUT_MS, title: 'placing archives of images' },
  );
}

/**
 * Lets a node have the images of the new version before anything is stopped: archives are put into place (and imported when k3s starts),
 * and those that `etc/k3s-images` of the rootfs lists are pulled from the cluster's registry.
 */
export function preloadStep(host: Host, { rootfs }: ClusterContext): DriverStep {
  const list = `sed 's/#.*//' ${shellQuote(`${rootfs}/etc/k3s-images`)} 2>/dev/null`;
  return {
    title: 'fetch images',
    async done() {
      const { code } = await onHost(
        host,
        `for f in ${archives(rootfs)}; do [ ! -f "$f" ] || cmp -s "$f" ${PATHS.images}/slipway-"\${f##*/}" || exit 1; done
for image in $(${list}); do ${PATHS.binary} crictl inspecti "$image" >/dev/null 2>&1 || exit 1; done`,
        { allowFailure: true, title: 'looking for the images', timeoutMs: 120_000 },
      );
      return code === 0;
    },
    async run(_note, signal) {
      await placeArchives(host, rootfs, signal);
      const { stdout } = await onHost(host, `${list}\ntrue`, {
        timeoutMs: 30_000,
        title: 'reading the list of images',
      });
      for (const image of stdout.split(/\s+/).filter((word) => word !== '')) {
        await k3s(host, ['crictl', 'pull', image], { signal, timeoutMs: TIMEOUT_MS, title: `pulling ${image}` });
      }
    },
  };
}

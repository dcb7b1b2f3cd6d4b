import type { Host } from '../../hosts/host.js';
import { API_SERVER_NAME } from '../etc-hosts.js';
import { PATHS } from './paths.js';

/**
 * Gives root on a master the administrator's kubeconfig, as sealer does, so that `kubectl` works there. A kubeconfig of somebody else
 * stays: ours is known by the name of its server.
 */
export async function writeRootKubeconfig(master: Host, note: (line: string) => void): Promise<void> {
  const { code } = await master.run(
    `dir=$(dirname ${PATHS.rootKubeconfig})
if [ -e ${PATHS.rootKubeconfig} ] && ! grep -q 'server: https://${API_SERVER_NAME}:' ${PATHS.rootKubeconfig}; then exit 3; fi
[ -d "$dir" ] || mkdir -m 700 "$dir"
umask 077
cp ${PATHS.admin} ${PATHS.rootKubeconfig}.slipway-new && mv -f ${PATHS.rootKubeconfig}.slipway-new ${PATHS.rootKubeconfig}`,
    { allowFailure: true, title: `writing ${PATHS.rootKubeconfig}`, timeoutMs: 60_000 },
  );
  if (code === 3) note(`${PATHS.rootKubeconfig} belongs to another cluster and stays; use KUBECONFIG=${PATHS.admin}`);
  else if (code !== 0) note(`${PATHS.rootKubeconfig} could not be written; use KUBECONFIG=${PATHS.admin}`);
}

import { SlipwayError } from '../../base/errors.js';
import type { Host } from '../../hosts/host.js';
import { shellQuote } from '../../hosts/shell-script.js';
import type { ClusterContext } from '../driver.js';
import { nodeOf } from '../kubernetes/nodes.js';
import { listNodes } from './cluster.js';
import { onHost } from './commands.js';
import { findRemains } from './health.js';
import { PATHS } from './paths.js';
import { k3sAbilities } from './versions.js';

const TIMEOUT_MS = 15 * 60_000;

/** The words that save a snapshot: the subcommand came later than the command. Pure. */
export function snapshotCommand(version: string, args: readonly string[]): readonly string[] {
  return ['etcd-snapshot', ...(k3sAbilities(version).snapshotSave ? ['save'] : []), ...args];
}

/**
 * Saves what etcd has into a file on a master, for root alone: a snapshot as k3s makes them (`server --cluster-reset-restore-path` takes it).
 * @throws SlipwayError E_UNSUPPORTED where there is no etcd: a master that is alone has SQLite; E_HOST_COMMAND
 */
export async function saveEtcd(
  master: Host,
  _cluster: Pick<ClusterContext, 'rootfs'>,
  file: string,
  signal?: AbortSignal,
): Promise<void> {
  if (!(await findRemains(master)).etcd) {
    throw new SlipwayError(
      'E_UNSUPPORTED',
      `${master.address}: the one master keeps the state in SQLite, not in etcd`,
      {
        hint: `stop k3s and copy ${PATHS.sqlite} with a SHELL plugin, or join masters: then there is etcd`,
      },
    );
  }
  const version = nodeOf(await listNodes(master), master)?.version;
  if (version === undefined || version === '') {
    throw new SlipwayError('E_CLUSTER_STATE', `${master.address} is no node of the cluster`);
  }
  // A directory of its own: k3s gives the file a name with node and time. Beside it, so that what comes there is whole.
  const dir = shellQuote(`${file}.part`);
  const words = snapshotCommand(version, ['--name', 'slipway', '--etcd-snapshot-dir']);
  await onHost(
    master,
    `umask 077
rm -rf ${dir} && mkdir -p ${dir} || exit 1
trap 'rm -rf ${dir}' EXIT
trap 'exit 143' TERM HUP INT
set --
if grep -q '^etcd-snapshot-compress: *true' ${PATHS.config} 2>/dev/null; then set -- --etcd-snapshot-compress=false; fi
${[PATHS.binary, ...words].map(shellQuote).join(' ')} ${dir} "$@" || exit $?
set -- ${dir}/*
[ $# = 1 ] && [ -s "$1" ] || { echo "k3s has put no snapshot into the directory that it was given" >&2; exit 1; }
chmod 600 "$1" && sync "$1" && mv -f "$1" ${shellQuote(file)}`,
    { signal, timeoutMs: TIMEOUT_MS, title: 'k3s etcd-snapshot' },
  );
}

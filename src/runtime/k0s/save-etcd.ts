import { SlipwayError } from '../../base/errors.js';
import type { Host } from '../../hosts/host.js';
import { shellQuote } from '../../hosts/shell-script.js';
import type { ClusterContext } from '../driver.js';
import { backUpInto } from './backup.js';

/**
 * Saves what the cluster has into a file on a master, for root alone: k0s' own archive, because a snapshot of etcd alone is nothing that
 * `k0s restore` takes.
 * @throws SlipwayError E_UNSUPPORTED when the state is kept elsewhere.
 */
export async function saveEtcd(
  master: Host,
  _cluster: Pick<ClusterContext, 'rootfs'>,
  file: string,
  signal?: AbortSignal,
): Promise<void> {
  // Beside the file, on the same file system: what comes there is whole.
  const dir = `${file}.part`;
  const place = shellQuote(dir);
  await master.run(`rm -rf ${place}`, { title: 'making room for the backup', timeoutMs: 60_000 });
  const elsewhere = await backUpInto(master, dir, signal);
  if (elsewhere !== undefined) {
    throw new SlipwayError('E_UNSUPPORTED', `${master.address}: the state is not kept by k0s: ${elsewhere}`, {
      hint: 'save it where it is kept',
    });
  }
  await master.run(
    `set -- ${place}/*
[ $# = 1 ] && [ -s "$1" ] || { echo "k0s backup has made no archive" >&2; exit 1; }
sync "$1" && mv -f "$1" ${shellQuote(file)} && rmdir ${place}`,
    { title: 'keeping the backup', timeoutMs: 300_000, ...(signal === undefined ? {} : { signal }) },
  );
}

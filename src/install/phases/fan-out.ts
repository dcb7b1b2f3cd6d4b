import { messageOf } from '../../base/errors.js';
import { distribute, type HostDifference } from '../files/distribute.js';
import type { Lanes } from '../files/lanes.js';
import { fetchFromPeer } from '../files/peer-transfer.js';
import { isInside, type WantedEntry, type WantedFile } from '../files/rootfs.js';
import { REGISTRY_DIR } from '../state/cluster-paths.js';
import type { InstallWork, WorkHost } from '../work.js';

/** What one host gets. */
export interface Transfer {
  readonly to: WorkHost;
  readonly paths: InstallWork['paths'];
  readonly entries: readonly WantedEntry[];
  readonly difference: HostDifference;
  readonly signal: AbortSignal;
  readonly note: (line: string) => void;
  readonly onBytes: (bytes: number) => void;
}

/**
 * Sends what a host lacks, by the next way that is free: contents of the image from a host that has them, when there is one, the rest from
 * here. Where the hosts cannot reach each other all comes from here. Gives the address of the host that served.
 */
export async function sendThrough(lanes: Lanes<WorkHost>, transfer: Transfer): Promise<string | undefined> {
  const { to, paths, entries, difference, signal, note, onBytes } = transfer;
  const direct = (arrived?: readonly WantedFile[]): Promise<void> =>
    distribute(to.host, paths, entries, difference, { signal, onBytes, ...(arrived === undefined ? {} : { arrived }) });
  const lane = await lanes.take();
  const { from } = lane;
  const files = from === undefined ? [] : servedFiles(difference, from);
  if (from === undefined || files.length === 0) {
    try {
      signal.throwIfAborted();
      await direct();
      // Before the way is given back: who waits shall have it from there.
      lanes.add(to);
    } finally {
      lane.end();
    }
    return undefined;
  }
  try {
    signal.throwIfAborted();
    await fetchFromPeer({ from: from.host, to: to.host, paths, files, signal, onBytes });
    await direct(files);
    lanes.add(to);
    lane.end();
    return from.address;
  } catch (error) {
    lane.end(true);
    if (signal.aborted) throw error;
    // Something between the two, or wrong with one of them: what comes from here will tell.
    note(`not from ${from.address}: ${messageOf(error)}`);
  }
  const own = await lanes.take(true);
  try {
    await direct();
    lanes.add(to);
  } finally {
    own.end();
  }
  return undefined;
}

/** Small files are not worth a connection of their own. */
const WORTH_BYTES = 1024 * 1024;

/** What another host can give: contents of the image, which are the same everywhere; nothing that was rendered for one. */
function servedFiles({ difference }: HostDifference, from: WorkHost): readonly WantedFile[] {
  const files = difference.send.filter(
    (entry): entry is WantedFile =>
      entry.type === 'file' &&
      'file' in entry.content &&
      (from.servesRegistry || !isInside(entry.path, REGISTRY_DIR)) &&
      !from.rendered.some(({ path }) => path === entry.path),
  );
  return files.reduce((sum, { size }) => sum + size, 0) >= WORTH_BYTES ? files : [];
}

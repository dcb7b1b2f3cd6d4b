import { messageOf } from '../../base/errors.js';
import { formatBytes, formatDuration } from '../../base/format.js';
import { parseDigest } from '../../image/digest.js';
import { appFilesInRootfs } from '../files/app-files.js';
import { compareHost, distribute, type HostDifference, isDistributed } from '../files/distribute.js';
import { Lanes } from '../files/lanes.js';
import { fetchFromPeer } from '../files/peer-transfer.js';
import { isInside, type WantedEntry, type WantedFile } from '../files/rootfs.js';
import { keepingOthers } from '../files/shared-files.js';
import { type Phase, stepId } from '../plan/step.js';
import { REGISTRY_DIR } from '../state/cluster-paths.js';
import type { InstallWork, WorkHost } from '../work.js';
import { describeDifference } from './send-step.js';

/** Gives every host the image's files that it lacks; what it has stays where it is. */
export const distributePhase: Phase<InstallWork> = {
  name: 'distribute',
  title: 'Send the rootfs',
  limit: ({ hosts, concurrentUploads, fanOut }) => (fanOut ? hosts.length : concurrentUploads),
  steps: ({ hosts, paths, applications, reporter, concurrentUploads, fanOut }) => {
    const lanes = fanOut ? new Lanes<WorkHost>(concurrentUploads) : undefined;
    return hosts.map((one) => {
      const { address, host, wanted, wantedDigest, servesRegistry } = one;
      const compare = async (entries: readonly WantedEntry[], abort: AbortSignal): Promise<HostDifference> => {
        const difference = await compareHost(host, paths, entries, abort);
        const ofApps = await appFilesInRootfs(host, paths, applications);
        return { ...difference, difference: keepingOthers(difference.difference, ofApps) };
      };
      // What the check has found is what the run sends; nobody else changes the host in between, it is locked.
      let found: HostDifference | undefined;
      return {
        id: stepId('distribute', address),
        host: address,
        title: servesRegistry ? 'send the rootfs with the registry' : 'send the rootfs',
        why: 'files of the image',
        inputs: parseDigest(wantedDigest),
        proof: 'check',
        check: async (signal) => {
          found = await compare(wanted(), signal);
          if (!isDistributed(found)) return { holds: false, why: describeDifference(found) };
          lanes?.add(one);
          return { holds: true };
        },
        run: async ({ signal, note }) => {
          const entries = wanted();
          const difference = found ?? (await compare(entries, signal));
          found = undefined;
          const { bytes, send } = difference.difference;
          const task = reporter.task(`${address} receiving`, bytes);
          const began = Date.now();
          let from: string | undefined;
          try {
            const transfer = { to: one, paths, entries, difference, signal, note, onBytes: task.advance.bind(task) };
            from = await sendThrough(lanes, transfer);
            task.done();
          } catch (error) {
            task.fail();
            throw error;
          }
          lanes?.add(one);
          const seconds = (Date.now() - began) / 1000;
          const rate = bytes > 10_000_000 && seconds > 0 ? `, ${formatBytes(bytes / seconds)}/s` : '';
          const way = from === undefined ? '' : `, from ${from}`;
          return `${send.length} entries, ${formatBytes(bytes)} in ${formatDuration(seconds * 1000)}${rate}${way}`;
        },
      };
    });
  },
};

interface Transfer {
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
async function sendThrough(lanes: Lanes<WorkHost> | undefined, transfer: Transfer): Promise<string | undefined> {
  const { to, paths, entries, difference, signal, note, onBytes } = transfer;
  const direct = (arrived?: readonly WantedFile[]): Promise<void> =>
    distribute(to.host, paths, entries, difference, { signal, onBytes, ...(arrived === undefined ? {} : { arrived }) });
  if (lanes === undefined) {
    await direct();
    return undefined;
  }
  const lane = await lanes.take();
  const { from } = lane;
  const files = from === undefined ? [] : servedFiles(difference, from);
  if (from === undefined || files.length === 0) {
    try {
      signal.throwIfAborted();
      await direct();
    } finally {
      lane.end();
    }
    return undefined;
  }
  try {
    signal.throwIfAborted();
    await fetchFromPeer({ from: from.host, to: to.host, paths, files, signal, onBytes });
    await direct(files);
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

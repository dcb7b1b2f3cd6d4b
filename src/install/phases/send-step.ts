import { counted, formatBytes, formatDuration } from '../../base/format.js';
import type { Reporter } from '../../base/reporter.js';
import type { Host } from '../../hosts/host.js';
import type { Digest } from '../../image/digest.js';
import { distribute, type HostDifference, isDistributed } from '../files/distribute.js';
import type { WantedEntry } from '../files/rootfs.js';
import type { Step } from '../plan/step.js';
import type { SentPaths } from '../state/cluster-paths.js';

/** Files that a host is given. */
export interface Sending {
  readonly id: string;
  readonly host: Host;
  readonly title: string;
  readonly why: string;
  readonly inputs: Digest;
  readonly paths: SentPaths;
  readonly reporter: Reporter;
  wanted(): readonly WantedEntry[];
  /** What the host lacks. */
  compare(wanted: readonly WantedEntry[], signal: AbortSignal): Promise<HostDifference>;
  /** Sends it in another way than straight from here; gives the address of the host that it came from, if it did not come from here. */
  send?(transfer: {
    readonly entries: readonly WantedEntry[];
    readonly difference: HostDifference;
    readonly signal: AbortSignal;
    readonly note: (line: string) => void;
    readonly onBytes: (bytes: number) => void;
  }): Promise<string | undefined>;
  /** Called when the host is found to have all of it. */
  present?(): void;
}

/** Sends a host what it lacks of some files. */
export function sendStep(sending: Sending): Step {
  const { id, host, title, why, inputs, paths, reporter, wanted, compare } = sending;
  // What the check has found is what the run sends; nobody else changes the host in between, it is locked.
  let found: HostDifference | undefined;
  return {
    id,
    host: host.address,
    title,
    why,
    inputs,
    proof: 'check',
    check: async (signal) => {
      found = await compare(wanted(), signal);
      if (!isDistributed(found)) return { holds: false, why: describeDifference(found) };
      sending.present?.();
      return { holds: true };
    },
    run: async ({ signal, note }) => {
      const entries = wanted();
      const difference = found ?? (await compare(entries, signal));
      found = undefined;
      const { bytes, send } = difference.difference;
      const task = reporter.task(`${host.address} receiving`, bytes);
      const began = Date.now();
      const onBytes = (more: number): void => task.advance(more);
      let from: string | undefined;
      try {
        if (sending.send === undefined) await distribute(host, paths, entries, difference, { signal, onBytes });
        else from = await sending.send({ entries, difference, signal, note, onBytes });
        task.done();
      } catch (error) {
        task.fail();
        throw error;
      }
      const seconds = (Date.now() - began) / 1000;
      const rate = bytes > 10_000_000 && seconds > 0 ? `, ${formatBytes(bytes / seconds)}/s` : '';
      return `${counted(send.length, 'entry', 'entries')}, ${formatBytes(bytes)} in ${formatDuration(seconds * 1000)}${rate}${from === undefined ? '' : `, from ${from}`}`;
    },
  };
}

/** What a host lacks, for people: `312 entries to send, 703MB`. */
export function describeDifference({ difference, listed }: HostDifference): string {
  const { send, bytes, remove, removeDirs, adjust, clear } = difference;
  const gone = remove.length + removeDirs.length;
  const parts = [
    ...(send.length > 0 ? [`${counted(send.length, 'entry', 'entries')} to send, ${formatBytes(bytes)}`] : []),
    ...(gone > 0 ? [`${gone} to remove`] : []),
    ...(adjust.length > 0 ? [`${adjust.length} with wrong mode or owner`] : []),
    ...(clear.length > 0 && send.length === 0 ? [`${clear.length} in the way`] : []),
  ];
  return parts.length === 0 && !listed ? 'its list of files is out of date' : parts.join(', ');
}

import { formatBytes, formatDuration } from '../../base/format.js';
import { parseDigest } from '../../image/digest.js';
import { compareHost, distribute, type HostDifference, isDistributed } from '../files/distribute.js';
import { type Phase, stepId } from '../plan/step.js';
import type { InstallWork } from '../work.js';

/** Gives every host the image's files that it lacks; what it has stays where it is. */
export const distributePhase: Phase<InstallWork> = {
  name: 'distribute',
  title: 'Send the rootfs',
  limit: ({ concurrentUploads }) => concurrentUploads,
  steps: ({ hosts, paths, reporter }) =>
    hosts.map(({ address, host, wanted, wantedDigest, servesRegistry }) => {
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
          found = await compareHost(host, paths, wanted(), signal);
          return isDistributed(found) ? { holds: true } : { holds: false, why: describe(found) };
        },
        run: async ({ signal }) => {
          const entries = wanted();
          const difference = found ?? (await compareHost(host, paths, entries, signal));
          found = undefined;
          const { bytes, send } = difference.difference;
          const task = reporter.task(`${address} receiving`, bytes);
          const began = Date.now();
          try {
            await distribute(host, paths, entries, difference, { signal, onBytes: (more) => task.advance(more) });
            task.done();
          } catch (error) {
            task.fail();
            throw error;
          }
          const seconds = (Date.now() - began) / 1000;
          const rate = bytes > 10_000_000 && seconds > 0 ? `, ${formatBytes(bytes / seconds)}/s` : '';
          return `${send.length} entries, ${formatBytes(bytes)} in ${formatDuration(seconds * 1000)}${rate}`;
        },
      };
    }),
};

function describe({ difference, listed }: HostDifference): string {
  const { send, bytes, remove, removeDirs, adjust, clear } = difference;
  const gone = remove.length + removeDirs.length;
  const parts = [
    ...(send.length > 0 ? [`${send.length} entries to send, ${formatBytes(bytes)}`] : []),
    ...(gone > 0 ? [`${gone} to remove`] : []),
    ...(adjust.length > 0 ? [`${adjust.length} with wrong mode or owner`] : []),
    ...(clear.length > 0 && send.length === 0 ? [`${clear.length} in the way`] : []),
  ];
  return parts.length === 0 && !listed ? 'its list of files is out of date' : parts.join(', ');
}

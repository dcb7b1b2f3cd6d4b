import { parseDigest } from '../../image/digest.js';
import { appFilesInRootfs } from '../files/app-files.js';
import { compareHost } from '../files/distribute.js';
import { Lanes } from '../files/lanes.js';
import { keepingOthers } from '../files/shared-files.js';
import { type Phase, stepId } from '../plan/step.js';
import type { InstallWork, WorkHost } from '../work.js';
import { sendThrough } from './fan-out.js';
import { sendStep } from './send-step.js';

/** Gives every host the image's files that it lacks; what it has stays where it is. */
export const distributePhase: Phase<InstallWork> = {
  name: 'distribute',
  title: 'Send the rootfs',
  limit: ({ hosts, concurrentUploads, fanOut }) => (fanOut ? hosts.length : concurrentUploads),
  steps: ({ hosts, paths, applications, reporter, concurrentUploads, fanOut }) => {
    const lanes = fanOut ? new Lanes<WorkHost>(concurrentUploads) : undefined;
    return hosts.map((to) => {
      const { address, host, wanted, wantedDigest, servesRegistry } = to;
      return sendStep({
        id: stepId('distribute', address),
        host,
        title: servesRegistry ? 'send the rootfs with the registry' : 'send the rootfs',
        why: 'files of the image',
        inputs: parseDigest(wantedDigest),
        paths,
        reporter,
        wanted,
        compare: async (entries, abort) => {
          const found = await compareHost(host, paths, entries, abort);
          return {
            ...found,
            difference: keepingOthers(found.difference, await appFilesInRootfs(host, paths, applications)),
          };
        },
        ...(lanes === undefined
          ? {}
          : {
              send: (transfer) => sendThrough(lanes, { to, paths, ...transfer }),
              present: () => lanes.add(to),
            }),
      });
    });
  },
};

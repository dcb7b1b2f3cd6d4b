import { shellQuote } from '../../hosts/shell-script.js';
import { inputsDigest, type Phase, stepId } from '../plan/step.js';
import type { ResetWork } from '../reset-work.js';

const TIMEOUT_MS = 10 * 60_000;

/** Removes what was sent to the hosts, and last of all the mark that they are ours. */
export const removeFilesPhase: Phase<ResetWork> = {
  name: 'remove-files',
  title: 'Remove the files of the image',
  steps: ({ hosts, paths, cluster }) =>
    hosts.map(({ address, host }) => ({
      id: stepId('remove-files', address),
      host: address,
      title: `remove ${paths.rootfs}`,
      why: `a host of ${cluster}`,
      inputs: inputsDigest('remove-files', address),
      proof: 'check',
      check: async () => ({ holds: !(await host.exists(paths.rootfs)) && !(await host.exists(paths.owner)) }),
      run: async ({ signal }) => {
        // By name, not the whole directory: on the machine that installs, the state of the cluster is in it too.
        const things = [
          paths.rootfs,
          paths.incoming,
          paths.toc,
          `${paths.toc}.next`,
          paths.setup,
          paths.state,
          paths.hooks,
          paths.apps,
        ];
        const data = paths.base.slice(0, paths.base.lastIndexOf('/'));
        await host.run(
          `rm -rf ${shellQuote(paths.base)}/etcd-before-*.db ${shellQuote(paths.base)}/k0s-before-*
rm -rf ${things.map(shellQuote).join(' ')} || exit 1
rm -f ${shellQuote(paths.owner)} || exit 1
rmdir ${shellQuote(paths.base)} ${shellQuote(data)} ${shellQuote(data.slice(0, data.lastIndexOf('/')))} 2>/dev/null
true`,
          { title: 'removing the files of the image', signal, timeoutMs: TIMEOUT_MS },
        );
        return undefined;
      },
    })),
};

import { type HookHost, hookSteps } from '../hooks/hook-step.js';
import { hooksAt } from '../hooks/hooks-at.js';
import type { Phase } from '../plan/step.js';
import type { ResetWork } from '../reset-work.js';
import type { HookPhaseName } from '../spec/hook-phases.js';

/**
 * Hooks of hosts that are cleaned. They are run each time it is tried: whether it came to its end, nobody could note on a host from which
 * everything is removed.
 */
export const preCleanHooksPhase = cleanPhase(
  'hooks-pre-clean',
  'Run hooks on hosts that are to be cleaned',
  ['pre-clean-host', 'PreClean'],
  everyHost,
);

/** While the files of the image are still there. */
export const postCleanHooksPhase = cleanPhase(
  'hooks-post-clean',
  'Run hooks on hosts that Kubernetes has left',
  ['post-clean-host', 'PostClean'],
  everyHost,
);

/** A cluster whose hook says no is not begun to be taken away. */
export const preUninstallHooksPhase: Phase<ResetWork> = {
  ...cleanPhase('hooks-pre-uninstall', 'Run hooks before the cluster is taken away', ['pre-uninstall'], firstOnly),
  stopsAtFailure: true,
};

export const postUninstallHooksPhase = cleanPhase(
  'hooks-post-uninstall',
  'Run hooks when the cluster is gone',
  ['post-uninstall'],
  firstOnly,
);

function cleanPhase(
  name: string,
  title: string,
  phases: readonly HookPhaseName[],
  candidates: (work: ResetWork) => readonly HookHost[],
): Phase<ResetWork> {
  return {
    name,
    title,
    steps: (work) =>
      hookSteps(
        hooksAt(work.plugins, phases),
        () => candidates(work),
        { cluster: work.cluster, driver: work.driver, paths: work.paths, entry: work.asked, first: work.first },
        { proof: 'always', leaving: true },
      ),
  };
}

function everyHost({ hosts }: ResetWork): readonly HookHost[] {
  return hosts;
}

function firstOnly({ asked }: ResetWork): readonly HookHost[] {
  return asked === undefined ? [] : [asked];
}

import { type HookContext, type HookHost, hookSteps } from '../hooks/hook-step.js';
import { type Hook, hooksAt } from '../hooks/hooks-at.js';
import { firstMaster } from '../hooks/plugin-marks.js';
import type { Phase } from '../plan/step.js';
import type { HookPhaseName } from '../spec/hook-phases.js';
import type { InstallWork, WorkHost } from '../work.js';

type Moment = Partial<Record<HookPhaseName, (work: InstallWork) => readonly WorkHost[]>>;

/** Hosts on which there is no Kubernetes yet: what prepares a host is never done to one that works. */
const fresh = ({ hosts, setups }: InstallWork): readonly WorkHost[] =>
  hosts.filter(({ address }) => !setups.has(address));
const members = ({ hosts, setups }: InstallWork): readonly WorkHost[] =>
  hosts.filter(({ address }) => setups.has(address));
const everyHost = ({ hosts }: InstallWork): readonly WorkHost[] => hosts;
const onlyEntry = ({ entry }: InstallWork): readonly WorkHost[] => [entry];
/** Hosts that join a cluster that is up. */
const joining = ({ hosts, moments }: InstallWork): readonly WorkHost[] =>
  hosts.filter(({ address }) => moments.scaleUp?.hosts.includes(address));
const when =
  (holds: (work: InstallWork) => boolean, hosts: (work: InstallWork) => readonly WorkHost[]) =>
  (work: InstallWork): readonly WorkHost[] =>
    holds(work) ? hosts(work) : [];
const installing = ({ moments }: InstallWork): boolean => moments.installing;
const growing = (work: InstallWork): boolean => joining(work).length > 0;
const upgrading = ({ moments }: InstallWork): boolean => moments.change?.kind === 'upgrade';
const goingBack = ({ moments }: InstallWork): boolean => moments.change?.kind === 'rollback';

/** Before anything of the image is on a host. */
export const originallyHooksPhase = hooksPhase(
  'hooks-originally',
  'Run hooks before anything is sent',
  { Originally: fresh },
  { early: true },
);

/** On nodes that are taken to another image, when its files have come. */
export const upgradeHostHooksPhase = hooksPhase('hooks-upgrade-host', 'Run hooks on nodes that are upgraded', {
  'upgrade-host': when(upgrading, members),
});

export const beforeHooksPhase = hooksPhase('hooks-before', 'Run hooks before hosts are set up', {
  'pre-install': when(installing, (work) => (fresh(work).includes(work.entry) ? [work.entry] : [])),
  'pre-scaleup': when(growing, onlyEntry),
});

export const beforeHostHooksPhase = hooksPhase('hooks-before-host', 'Run hooks on hosts before they are set up', {
  'pre-init-host': fresh,
  PreInit: when(installing, fresh),
  PreInstall: when(installing, fresh),
  PreJoin: (work) => joining(work).filter((one) => fresh(work).includes(one)),
});

/** When the new images are there, and before any node is changed. */
export const changeHooksPhase = hooksPhase('hooks-change', 'Run hooks before nodes are changed', {
  upgrade: when(upgrading, onlyEntry),
  rollback: when(goingBack, onlyEntry),
});

export const afterHostHooksPhase = hooksPhase('hooks-after-host', 'Run hooks on hosts that are nodes now', {
  'post-init-host': everyHost,
});

export const afterHooksPhase = hooksPhase('hooks-after', 'Run hooks when all hosts are nodes', {
  'post-install': onlyEntry,
  'post-scaleup': when(growing, onlyEntry),
});

export const preGuestHooksPhase = hooksPhase('hooks-pre-guest', 'Run hooks before anything is launched', {
  PreGuest: everyHost,
});

/** Last of all. What fails here stops the command: the cluster counts as being installed until it was done. */
export const lastHooksPhase = hooksPhase(
  'hooks-last',
  'Run hooks when everything is done',
  { PostInstall: when(installing, everyHost), PostJoin: joining },
  { stopsAtFailure: true },
);

function hooksPhase(
  name: string,
  title: string,
  moment: Moment,
  { early = false, stopsAtFailure = false }: { readonly early?: boolean; readonly stopsAtFailure?: boolean } = {},
): Phase<InstallWork> {
  const phases = Object.keys(moment) as HookPhaseName[];
  return {
    name,
    title,
    stopsAtFailure,
    steps: (work) =>
      hookSteps(
        hooksAt(work.plugins, phases),
        ({ phase }) => (moment[phase]?.(work) ?? []).map(hookHost),
        contextOf(work),
        {
          proof: 'noted',
          masters: work.hosts.filter(({ master }) => master).map(({ host }) => host),
          event: (hook) => eventOf(hook, work),
          early,
        },
      ),
  };
}

/** What may happen to a cluster again and again: its hooks are run once each time. */
function eventOf({ phase }: Hook, { moments }: InstallWork): string | undefined {
  if (phase === 'pre-scaleup' || phase === 'post-scaleup') return moments.scaleUp?.begun;
  if (phase === 'upgrade' || phase === 'rollback' || phase === 'upgrade-host') return moments.change?.begun;
  return undefined;
}

function contextOf({ spec, driver, paths, entry }: InstallWork): HookContext {
  return { cluster: spec.name, driver, paths, entry: hookHost(entry), first: firstMaster(spec.hosts) };
}

function hookHost({ address, host, spec, master, env }: WorkHost): HookHost {
  return { address, host, roles: spec.roles, master, env };
}

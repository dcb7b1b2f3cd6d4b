import { redact } from '../../base/redact.js';
import type { Host } from '../../hosts/host.js';
import type { Digest } from '../../image/digest.js';
import type { RuntimeDriver } from '../../runtime/driver.js';
import { inputsDigest, type Step, type StepCheck, stepId } from '../plan/step.js';
import { HOOK_PHASES } from '../spec/hook-phases.js';
import { isSelected, labelSelector } from '../spec/host-selector.js';
import type { HostPaths } from '../state/cluster-paths.js';
import { clusterIsWhole, waitForCluster } from './cluster-check.js';
import { saveEtcd } from './etcd-backup.js';
import type { Hook } from './hooks-at.js';
import { hasHookNote, writeHookNote } from './host-notes.js';
import { runShellHook } from './run-shell.js';

/** A host that hooks may run on. */
export interface HookHost {
  readonly address: string;
  readonly host: Host;
  readonly roles: readonly string[];
  readonly master: boolean;
  readonly env: Readonly<Record<string, string>>;
}

/** What hooks of an installation and of its end have in common. */
export interface HookContext {
  readonly cluster: string;
  readonly driver: RuntimeDriver;
  readonly paths: HostPaths;
  /** The master that is asked, and on which hooks of the whole cluster run; undefined when none is there. */
  readonly entry: HookHost | undefined;
  /** Address of the first master of the cluster. */
  readonly first: string | undefined;
}

/** How hooks of one moment are told apart from those of another, and known to be done. */
export interface HookRule {
  /**
   * `noted`: a note of what it was made from, on the host, or for the whole cluster on any of these masters, says that it was run.
   * `always`: it is run whenever the plan has it.
   */
  readonly proof: 'noted' | 'always';
  /** The masters that keep the notes of hooks of the whole cluster. */
  readonly masters?: readonly Host[];
  /** Tells one upgrade, say, from the next: a hook is run once in each. */
  readonly event?: (hook: Hook) => string | undefined;
  /** Not in the rootfs, which is not there yet. */
  readonly early?: boolean;
  /** A host without rootfs is passed over. */
  readonly leaving?: boolean;
}

/**
 * The steps of all hooks of one moment, in their order: each on all its hosts at once, then the next.
 * @param candidates where hooks of a phase may run. Pure, but for what the steps ask when they are asked.
 */
export function hookSteps(
  hooks: readonly Hook[],
  candidates: (hook: Hook) => readonly HookHost[],
  context: HookContext,
  rule: HookRule,
): readonly Step[] {
  return hooks.flatMap((hook, turn) => {
    const { plugin, phase } = hook;
    const possible = candidates(hook);
    const onMaster = HOOK_PHASES[phase].where === 'first-master' || plugin.type !== 'SHELL';
    const hosts = onMaster
      ? possible.length > 0 && context.entry !== undefined
        ? [context.entry]
        : []
      : possible.filter(
          (one) => isSelected(one, plugin.on, context.first) && isSelected(one, plugin.scope, context.first),
        );
    const chosen = onMaster ? undefined : chosenByLabels(hook, context, rule.leaving === true);
    return hosts.map((one) => ({ ...hookStep(hook, one, context, { ...rule, onMaster, chosen }), turn }));
  });
}

interface StepRule extends HookRule {
  readonly onMaster: boolean;
  readonly chosen: ((address: string) => Promise<boolean>) | undefined;
}

function hookStep(hook: Hook, one: HookHost, context: HookContext, rule: StepRule): Step {
  const { plugin, phase, id } = hook;
  const { name, type, data, source } = plugin;
  // Known secrets are no part of it: a short one could be guessed from the digest, which is kept.
  const inputs = inputsDigest(type, redact(data), rule.event?.(hook) ?? null);
  const keepers = rule.onMaster && rule.masters !== undefined ? rule.masters : [one.host];
  return {
    id: stepId(id, one.address),
    host: one.address,
    title: `${TITLES[type]} ${name}`,
    why: `${phase}, ${source}`,
    inputs,
    proof: 'check',
    check: async () => {
      if (rule.chosen !== undefined && !(await rule.chosen(one.address))) return { holds: true };
      if (type === 'CLUSTERCHECK')
        return { holds: await clusterIsWhole(context.driver, one.host, context.paths.rootfs) };
      return rule.proof === 'always' ? { holds: false } : noted(keepers, context.paths, id, inputs);
    },
    run: async ({ note, signal, interrupt }) => {
      const { driver, paths } = context;
      if (type === 'CLUSTERCHECK') {
        await waitForCluster(driver, one.host, paths.rootfs, {
          name: context.cluster,
          timeoutMs: plugin.timeoutMs,
          signal: AbortSignal.any([signal, interrupt]),
        });
        return undefined;
      }
      const said =
        type === 'ETCD'
          ? await saveEtcd(driver, one.host, paths, { cluster: context.cluster, plugin, note, signal })
          : await runShellHook(one.host, plugin, {
              rootfs: rule.early ? undefined : paths.rootfs,
              leaving: rule.leaving === true,
              env: hookEnv(one, phase, driver),
              signal,
            });
      if (rule.proof === 'noted') for (const keeper of keepers) await writeHookNote(keeper, paths, id, inputs);
      return said ?? undefined;
    },
  };
}

const TITLES = {
  SHELL: 'hook',
  CLUSTERCHECK: 'wait for the cluster:',
  ETCD: 'save etcd:',
  LABEL: 'label',
  TAINT: 'taint',
  HOSTNAME: 'hostname',
} as const;

async function noted(hosts: readonly Host[], paths: HostPaths, id: string, inputs: Digest): Promise<StepCheck> {
  for (const host of hosts) if (await hasHookNote(host, paths, id, inputs)) return { holds: true };
  return { holds: false };
}

function hookEnv({ env, master }: HookHost, phase: Hook['phase'], driver: RuntimeDriver): Record<string, string> {
  return { ...env, ...(master && HOOK_PHASES[phase].clusterUp ? { KUBECONFIG: driver.adminKubeconfig } : {}) };
}

/** Asks the cluster, once for all hosts of a hook, which nodes have the labels; undefined when nobody is chosen by labels. */
function chosenByLabels(
  { plugin }: Hook,
  { driver, entry, paths }: HookContext,
  leaving: boolean,
): ((address: string) => Promise<boolean>) | undefined {
  const selectors = [plugin.on, plugin.scope].flatMap((text) => labelSelector(text) ?? []);
  if (selectors.length === 0) return undefined;
  let asked: Promise<ReadonlySet<string>> | undefined;
  const ask = async (): Promise<ReadonlySet<string>> => {
    if (entry === undefined) return new Set();
    const { stdout } = await driver.kubectl(
      entry.host,
      paths.rootfs,
      [
        ...['get', 'nodes', '-l', selectors.join(',')],
        ...['-o', 'go-template={{range .items}}{{range .status.addresses}}{{.address}}{{"\\n"}}{{end}}{{end}}'],
      ],
      { title: `looking for nodes with ${selectors.join(',')}` },
    );
    return new Set(stdout.split('\n'));
  };
  return async (address) => {
    asked ??= ask().catch((error: unknown) => {
      // A cluster that does not answer is taken away all the same.
      if (leaving) return new Set<string>();
      asked = undefined;
      throw error;
    });
    return (await asked).has(address);
  };
}

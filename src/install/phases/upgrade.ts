import { readSetup } from '../cluster-hosts/host-setup.js';
import { type Phase, type Step, stepId } from '../plan/step.js';
import { isRolling, setupOf } from '../set-up.js';
import type { InstallWork, WorkHost } from '../work.js';
import { driverStep } from './driver-step.js';

/** Gets the images of the new version to every node before anything is stopped. */
export const preloadPhase: Phase<InstallWork> = {
  name: 'preload',
  title: 'Fetch the images of the new version',
  steps: (work) =>
    rolling(work, () => true).map(({ one }) => ({
      ...driverStep('preload', one, 'before anything is stopped', work.driver.preload(one.host, work.cluster)),
      proof: 'check',
    })),
};

/** One after the other: the cluster lives while one is down. */
export const upgradeMastersPhase: Phase<InstallWork> = {
  name: 'upgrade-masters',
  title: 'Upgrade the masters',
  serial: true,
  stopsAtFailure: true,
  whenStopped: howFar,
  steps: (work) => rolling(work, ({ master }) => master).map((facts) => upgradeStep(work, facts)),
};

/** A few at once. */
export const upgradeWorkersPhase: Phase<InstallWork> = {
  name: 'upgrade-workers',
  title: 'Upgrade the workers',
  limit: ({ upgradeBatch }) => upgradeBatch,
  stopsAtFailure: true,
  whenStopped: howFar,
  steps: (work) => rolling(work, ({ master }) => !master).map((facts) => upgradeStep(work, facts)),
};

/** Which nodes are on the new image, which are not yet, and the way back. */
function howFar(work: InstallWork, finished: ReadonlySet<string>): string {
  const nodes = (there: boolean): string =>
    rolling(work, () => true)
      .filter(({ one }) => finished.has(stepId('upgrade', one.address)) === there)
      .map(({ one }) => one.address)
      .join(', ') || 'none';
  const back =
    work.moments.change?.kind === 'upgrade' ? `; "slipway rollback --cluster ${work.spec.name}" goes back` : '';
  return `upgraded: ${nodes(true)}; not yet: ${nodes(false)}${back}`;
}

interface Rolling {
  readonly one: WorkHost;
  readonly scripts: NonNullable<ReturnType<typeof setupOf>>;
}

/** The master that is asked goes first: it takes the cluster to the new version, the others follow. */
function rolling(work: InstallWork, which: (host: WorkHost) => boolean): readonly Rolling[] {
  const scripts = setupOf(work);
  if (scripts === undefined) return [];
  const { hosts, entry } = work;
  return [entry, ...hosts.filter((one) => one !== entry)]
    .filter((one) => hosts.includes(one) && which(one) && isRolling(work, scripts, one))
    .map((one) => ({ one, scripts }));
}

function upgradeStep(work: InstallWork, { one, scripts }: Rolling): Step {
  const { driver, cluster, paths, setups, setUpAgain, image, drainTimeoutMs, readyTimeoutMs } = work;
  const found = setups.get(one.address);
  const other = found?.image !== image.digest;
  const settings = found?.inputs === scripts.inputs(one) ? 'it is to be set up again' : 'its settings are other ones';
  const { title, done, run } = driver.upgrade(one.host, cluster, {
    from: found?.version ?? '',
    readyTimeoutMs,
    drainTimeoutMs: other ? drainTimeoutMs : 0,
    setUp: (signal) => scripts.run(one, signal),
  });
  return {
    id: stepId('upgrade', one.address),
    host: one.address,
    title,
    why: other ? `it was set up from another image (${found?.version ?? 'unknown'})` : settings,
    inputs: scripts.inputs(one),
    proof: 'check',
    check: async () => ({
      holds: !setUpAgain && (await readSetup(one.host, paths))?.inputs === scripts.inputs(one) && (await done()),
    }),
    run: async ({ note, signal }) => {
      await run(note, signal);
      // Last of all: killed before, the node is looked at again.
      await scripts.note(one);
      return undefined;
    },
  };
}

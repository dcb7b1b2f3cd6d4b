import type { Host } from '../../hosts/host.js';
import type { Digest } from '../../image/digest.js';
import type { CertificateWork, ClusterContext } from '../../runtime/driver.js';
import { type Phase, type Step, stepId } from '../plan/step.js';
import { driverStep } from './driver-step.js';

/** What the phases that change certificates work with. */
export interface CertificatePlan {
  readonly work: CertificateWork;
  readonly cluster: ClusterContext;
  /** Masters that are worked on. */
  readonly masters: readonly Host[];
  /** Other hosts, whose kubelets may need help. */
  readonly workers: readonly Host[];
  /** Names that the API servers are to be known by as well; none: nothing is added. */
  readonly names: readonly string[];
  /** Of this renewal and no other one; undefined: nothing is renewed. */
  readonly renewal: Digest | undefined;
}

/** One after the other: the cluster is served by the others meanwhile, and a broken one stops it before the next. */
export const altNamesPhase: Phase<CertificatePlan> = {
  name: 'alt-names',
  title: 'Add names to the certificates of the API servers',
  serial: true,
  stopsAtFailure: true,
  steps: ({ work, cluster, masters, names }) =>
    names.length === 0
      ? []
      : masters.map((master) =>
          driverStep('alt-names', master, 'the others go on meanwhile', work.addNames(master, cluster, names)),
        ),
};

/** Nothing is started on a master again whose kubelet cannot start: before its certificates are renewed. */
export const reviveMastersPhase: Phase<CertificatePlan> = {
  name: 'kubelets-of-masters',
  title: 'See that the kubelets of the masters have certificates',
  steps: (plan) => reviveSteps(plan, plan.masters),
};

/** They ask the API servers, which must be up by now. */
export const reviveWorkersPhase: Phase<CertificatePlan> = {
  name: 'kubelets',
  title: 'See that the kubelets of the workers have certificates',
  steps: (plan) => reviveSteps(plan, plan.workers),
};

function reviveSteps({ work, cluster, renewal }: CertificatePlan, hosts: readonly Host[]): readonly Step[] {
  if (renewal === undefined) return [];
  return hosts.map((host) => driverStep('kubelet', host, 'its own has ended', work.revive(host, cluster)));
}

/** A certificate does not say when it was made: that a renewal which was stopped has done a master, the journal says. */
export const renewPhase: Phase<CertificatePlan> = {
  name: 'renew',
  title: 'Renew the certificates of the masters',
  serial: true,
  stopsAtFailure: true,
  steps: ({ work, cluster, masters, renewal }) =>
    renewal === undefined
      ? []
      : masters.map((master) => {
          const { check: _, ...step } = driverStep(
            'renew',
            master,
            'its certificates and kubeconfigs; kubelet renews its own',
            work.renew(master, cluster),
          );
          return { ...step, id: stepId('renew', master.address), inputs: renewal, proof: 'journal' };
        }),
};

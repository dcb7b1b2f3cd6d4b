import { inputsDigest, type Phase, stepId } from '../plan/step.js';
import { findLacks, supply } from '../registry/even-out.js';
import type { InstallWork } from '../work.js';

/**
 * Brings images that were pushed later to every host that serves the registry: to one that begins to, to one that was down meanwhile; also
 * from hosts that serve it no more, or leave.
 */
export const registryContentPhase: Phase<InstallWork> = {
  name: 'registry-content',
  title: 'Keep the registries in step',
  steps: ({ hosts, begun, registry, removal, paths }) => {
    const targets = hosts.filter(({ servesRegistry }) => servesRegistry).map(({ host }) => host);
    const others = [
      ...hosts.filter(({ master, servesRegistry }) => master && !servesRegistry),
      ...(removal?.leaving ?? []).filter(({ traces }) => traces !== undefined),
    ].map(({ host }) => host);
    if (!begun || registry === undefined || targets.length + others.length < 2 || targets.length === 0) return [];
    const list = targets.map(({ address }) => address).join(', ');
    return [
      {
        id: stepId('registry-content'),
        host: undefined,
        title: 'bring what was pushed to one registry to the others',
        why: `they serve the same images: ${list}`,
        inputs: inputsDigest('registry-content', list),
        proof: 'check',
        check: async (signal) => {
          const lacks = await findLacks(targets, others, paths, signal);
          if (lacks.length === 0) return { holds: true };
          return { holds: false, why: `${lacks.map(({ target }) => target.address).join(', ')}: images are missing` };
        },
        run: async ({ signal }) => {
          const lacks = await findLacks(targets, others, paths, signal);
          for (const lack of lacks) await supply(lack, paths, signal);
          return undefined;
        },
      },
    ];
  },
};

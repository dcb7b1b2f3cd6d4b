import { isDeepStrictEqual } from 'node:util';
import type { HookPhaseName } from '../spec/hook-phases.js';
import { hasOwnPlace, type PluginSpec } from '../spec/plugin-spec.js';

/** A plugin at one of its phases. */
export interface Hook {
  /** `hook-post-install-dashboard`; a second one of the same name and phase has a number. */
  readonly id: string;
  readonly phase: HookPhaseName;
  readonly plugin: PluginSpec;
}

/**
 * What is to be done at these phases, which are one moment, in its order: by name, as sealer has it since 0.9; of the same name first those
 * of the image, then those of the Clusterfile, each as they were written. One that is there twice, word for word, is there once.
 * Pure. @param plugins those of the image first.
 */
export function hooksAt(plugins: readonly PluginSpec[], phases: readonly HookPhaseName[]): readonly Hook[] {
  const different = plugins.filter(
    (plugin, index) => !hasOwnPlace(plugin) && plugins.findIndex((other) => isSame(plugin, other)) === index,
  );
  const sorted = different.sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
  const seen = new Map<string, number>();
  return sorted.flatMap((plugin) =>
    phases
      .filter((phase) => plugin.phases.includes(phase))
      .map((phase) => {
        const id = `hook-${phase}-${plugin.name}`;
        const count = (seen.get(id) ?? 0) + 1;
        seen.set(id, count);
        return { id: count === 1 ? id : `${id}#${count}`, phase, plugin };
      }),
  );
}

function isSame({ source: _, ...a }: PluginSpec, { source: __, ...b }: PluginSpec): boolean {
  return isDeepStrictEqual(a, b);
}

import type { AppConfigSpec } from '../spec/cluster-spec.js';
import { envLines } from './env-lines.js';
import type { PlacedApplication } from './read-clusterfile.js';
import type { ValueSources } from './secret-value.js';

/** What a Clusterfile says of applications, values filled in. */
export interface WantedApplications {
  readonly cmds: readonly string[] | undefined;
  readonly apps: readonly string[] | undefined;
  readonly appConfigs: readonly AppConfigSpec[];
}

/**
 * Reads an `Application`.
 * @param given variables of the command line, which beat those of the file.
 * @param mistakes takes a line for each mistake, with its place.
 */
export function wantedApplications(
  { spec, place }: PlacedApplication,
  given: Readonly<Record<string, string>>,
  sources: ValueSources,
  mistakes: string[],
): WantedApplications {
  const wrong = (path: readonly PropertyKey[], why: string): void =>
    void mistakes.push(`${place(path)}: ${path.map(String).join('.')}: ${why}`);
  const configs = spec.configs ?? [];
  const appConfigs = configs.map((config, index): AppConfigSpec => {
    const at = ['spec', 'configs', index];
    if (configs.findIndex(({ name }) => name === config.name) < index)
      wrong([...at, 'name'], `${config.name} is there twice`);
    const files = (config.files ?? []).map(({ path, data, strategy = 'overwrite' }) => ({ path, data, strategy }));
    for (const [item, { path }] of files.entries()) {
      if (files.findIndex((file) => file.path === path) < item)
        wrong([...at, 'files', item, 'path'], `${path} is there twice`);
    }
    const own = envLines(config.env ?? [], [...at, 'env'], sources, wrong);
    return {
      name: config.name,
      env: Object.fromEntries(Object.entries(own).map(([name, value]) => [name, given[name] ?? value])),
      files,
      ...(config.launch === undefined ? {} : { launch: config.launch.cmds }),
      ...(config.delete === undefined ? {} : { delete: config.delete.cmds }),
      place: place([...at, 'name']),
    };
  });
  return { cmds: spec.cmds, apps: spec.launchApps, appConfigs };
}

import type { Command, Option } from 'commander';

/** Flags under one heading that several commands have: described once. */
export interface SharedGroup {
  readonly heading: string;
  readonly options: readonly Option[];
}

/** The groups that more than one of these commands has, the commonest last. @throws Error when a flag of them is described in two ways. */
export function sharedGroups(commands: readonly Command[]): SharedGroup[] {
  const groups = new Map<string, { readonly of: Set<Command>; readonly options: Map<string, Option> }>();
  for (const command of commands) {
    for (const option of command.options.filter(({ hidden }) => !hidden)) {
      const heading = option.helpGroupHeading;
      if (heading === undefined) continue;
      const group = groups.get(heading) ?? { of: new Set(), options: new Map() };
      groups.set(heading, group);
      group.of.add(command);
      const known = group.options.get(option.flags);
      if (known !== undefined && known.description !== option.description) {
        throw new Error(`${option.flags} of "${heading}" is described differently in ${command.name()}`);
      }
      group.options.set(option.flags, known ?? option);
    }
  }
  const shared = [...groups].filter(([, { of }]) => of.size > 1).sort(([, a], [, b]) => a.of.size - b.of.size);
  return shared.map(([heading, { options }]) => ({ heading, options: [...options.values()] }));
}

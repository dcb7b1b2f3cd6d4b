/** What a token must allow: `repository:k8s/base:pull,push`, `registry:catalog:*`. distribution's token scope documentation. */
export type Scope = string;

export function repositoryScope(repository: string, ...actions: readonly ('pull' | 'push' | 'delete')[]): Scope {
  return `repository:${repository}:${actions.join(',')}`;
}

export const CATALOG_SCOPE: Scope = 'registry:catalog:*';

/**
 * One scope for each resource, with the actions of all joined, sorted: equal wishes are equal texts. Texts that are no scope are kept
 * as they are (a registry may have its own kinds). One text may hold several scopes, separated by spaces.
 */
export function joinScopes(scopes: Iterable<Scope>): readonly Scope[] {
  const actionsOf = new Map<string, Set<string>>();
  for (const scope of [...scopes].flatMap((text) => text.split(' '))) {
    if (scope === '') continue;
    const colon = scope.lastIndexOf(':');
    const resource = colon < 0 ? scope : scope.slice(0, colon);
    const actions = actionsOf.get(resource) ?? new Set();
    for (const action of colon < 0 ? [] : scope.slice(colon + 1).split(',')) actions.add(action);
    actionsOf.set(resource, actions);
  }
  return [...actionsOf]
    .map(([resource, actions]) => (actions.size === 0 ? resource : `${resource}:${[...actions].sort().join(',')}`))
    .sort();
}

import { SlipwayError } from '../../base/errors.js';
import { suggest } from '../../base/suggest.js';
import { joinPath, nameOf, parentOf } from '../../layers/layer-names.js';
import { hasWildcard, unescapePattern } from '../context/wildcard.js';
import type { SourceEntry, SourceTree } from './source-tree.js';
import { isHidden, matchWildcard } from './wildcard-match.js';

/** A source as an instruction names it. */
export interface NamedSource {
  readonly tree: SourceTree;
  /** Expanded; a path or a pattern. */
  readonly name: string;
  /** The name is a path whatever characters are in it. */
  readonly literal?: boolean;
}

/** What an instruction takes. */
export interface Pick {
  readonly tree: SourceTree;
  readonly entry: SourceEntry;
  /** What is in the directory is copied, rather than the directory under its name. */
  readonly contents: boolean;
  /** With `--parents`, the directories above the entry that come along, outermost first. */
  readonly parents: readonly SourceEntry[];
}

export interface PickOptions {
  /** `kubefile`: a directory matched by a wildcard is copied under its own name; `docker`: its contents are. */
  readonly dialect: 'kubefile' | 'docker';
  /** `--parents`. */
  readonly parents: boolean;
  /** There are other sources, so that these need not match anything. */
  readonly others?: boolean;
}

/**
 * Finds what the sources of an instruction mean.
 * @returns `warnings` for wildcards without a match beside sources that have some.
 * @throws SlipwayError E_COPY: a source is missing (with the nearest name), hidden, or outside its tree; no source matches anything.
 */
export function pickSources(
  sources: readonly NamedSource[],
  options: PickOptions,
): { readonly picks: readonly Pick[]; readonly warnings: readonly string[] } {
  const picks: Pick[] = [];
  const unmatched: NamedSource[] = [];
  for (const source of sources) {
    const found = options.parents ? withParents(source) : pickOne(source, options);
    if (found.length === 0) unmatched.push(source);
    picks.push(...found);
  }
  const [first] = unmatched;
  if (first !== undefined && picks.length === 0 && options.others !== true)
    throw new SlipwayError('E_COPY', `${first.name} matches nothing in ${first.tree.what}`);
  return { picks, warnings: unmatched.map(({ name, tree }) => `${name} matches nothing in ${tree.what}`) };
}

function pickOne(source: NamedSource, { dialect }: PickOptions): Pick[] {
  const { tree, name } = source;
  const path = withoutRoot(name);
  if (source.literal === true || !hasWildcard(path)) {
    const entry = named(source, source.literal === true ? name : unescapePattern(path));
    return [{ tree, entry, contents: entry.type === 'dir', parents: [] }];
  }
  return matchWildcard(tree, '', path, name).map((entry) => ({
    tree,
    entry,
    contents: dialect === 'docker' && entry.type === 'dir',
    parents: [],
  }));
}

/** `--parents`: of `a/b/./c/d`, `c` comes along; without the mark `/./` everything above does. */
function withParents(source: NamedSource): Pick[] {
  const { tree, name } = source;
  const path = withoutRoot(name);
  const mark = path.indexOf('/./');
  const [above, pattern] =
    mark < 0 ? ['', cleaned(path)] : [cleaned(path.slice(0, mark)), cleaned(path.slice(mark + 3))];
  if (pattern === '' && above === '') {
    const entry = named(source, '');
    return [{ tree, entry, contents: true, parents: [] }];
  }
  if (`${above}/${pattern}`.split('/').includes('..')) {
    throw new SlipwayError('E_COPY', `${name}: ".." cannot be used together with --parents`, {
      hint: 'name the directory directly; "/./" marks where the kept directories begin',
    });
  }
  if (!hasWildcard(path)) {
    const start = unescapePattern(above);
    const entry = named(source, joinPath(start, unescapePattern(pattern)));
    return [{ tree, entry, contents: false, parents: directoriesBetween(tree, start, entry.path) }];
  }
  const starts = hasWildcard(above)
    ? matchWildcard(tree, '', above, name).filter(({ type }) => type === 'dir')
    : [{ path: unescapePattern(above) }];
  return starts.flatMap(({ path: start }) =>
    matchWildcard(tree, start, pattern, name).map((entry) => ({
      tree,
      entry,
      contents: false,
      parents: directoriesBetween(tree, start, entry.path),
    })),
  );
}

function directoriesBetween(tree: SourceTree, start: string, path: string): SourceEntry[] {
  const found: SourceEntry[] = [];
  for (let dir = parentOf(path); dir !== start && dir !== ''; dir = parentOf(dir)) {
    const entry = tree.find(dir);
    if (entry !== undefined) found.unshift(entry);
  }
  return found;
}

/** An entry that must be there and not be hidden. */
function named({ tree, name }: NamedSource, path: string): SourceEntry {
  const entry = tree.find(path);
  if (entry === undefined) throw missing(tree, name, path);
  if (isHidden(tree, entry))
    throw new SlipwayError('E_COPY', `${name}: ${entry.hiddenBy} hides it from the build`, {
      hint: 'take it out of the ignore file, or do not copy it',
    });
  return { ...entry, path: cleaned(path) };
}

function missing(tree: SourceTree, name: string, path: string): SlipwayError {
  if (/^(?:https?|git|ssh):\/\/./i.test(name))
    return new SlipwayError('E_COPY', `${name} is not in ${tree.what}: COPY takes files and directories`, {
      hint: 'write ADD: it downloads',
    });
  const clean = cleaned(path);
  const link = tree.findMatch(clean);
  if (link?.type === 'symlink') {
    return new SlipwayError(
      'E_COPY',
      `${name} is a symbolic link to ${link.linkTarget}, and that is not in ${tree.what}`,
      {
        hint: 'a link that is named as a source is followed; mend it, or copy the directory it is in to keep it as a link',
      },
    );
  }
  const dir = parentOf(clean);
  const near = tree.find(dir)?.type === 'dir' ? suggest(nameOf(clean), tree.names(dir)) : undefined;
  const hint = near === undefined ? undefined : { hint: `did you mean ${joinPath(dir, near)}?` };
  return new SlipwayError('E_COPY', `${name} is not in ${tree.what}`, hint);
}

/** `/x` and `./x` mean `x` of the tree. */
function withoutRoot(name: string): string {
  return name.replace(/^(?:\.?\/)+/, '');
}

function cleaned(path: string): string {
  return path
    .split('/')
    .filter((part) => part !== '' && part !== '.')
    .join('/');
}

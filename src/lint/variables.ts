import type { EscapeCharacter } from '../kubefile-parser/ast.js';
import { expandHeredoc, expandWord } from '../kubefile-parser/expand.js';
import type { Heredoc, Word } from '../kubefile-parser/parts.js';

/** What is known about a variable before anything is built. */
export type Known =
  | { readonly state: 'value'; readonly value: string }
  /** Declared by an ARG without a default, and no value is given. */
  | { readonly state: 'unset' }
  /** It has a value that only the build finds out. */
  | { readonly state: 'unknown' };

export const UNSET: Known = { state: 'unset' };
export const UNKNOWN: Known = { state: 'unknown' };

/** A word as far as it can be told. */
export interface Expanded {
  /** Absent when the value depends on something that is not known. */
  readonly value?: string;
  /** Names that nothing declares and that have no default here. */
  readonly undeclared: readonly string[];
  /** Names of ARGs without a value that have no default here. */
  readonly unset: readonly string[];
}

/** Finds a variable; undefined when nothing declares it. */
export type FindVariable = (name: string) => Known | undefined;

/** Values beyond this many characters are not followed: a file must not make its linter compute for minutes. */
const LONGEST_VALUE = 512;
/** Substitutions with patterns (`${a//b/c}`, `${a%b}`) that are worked out in one run. */
const MOST_PATTERNS = 2_000;

/** Expands words as the build will, in time bounded by the length of the text, never throwing. */
export class Expander {
  readonly #escape: EscapeCharacter;
  #patterns = 0;

  constructor(escapeCharacter: EscapeCharacter) {
    this.#escape = escapeCharacter;
  }

  word({ raw }: Word, find: FindVariable): Expanded {
    if (!/[$"'\\`]/.test(raw)) return limited({ value: raw, undeclared: [], unset: [] });
    return this.#expand(raw, find, (lookup) => expandWord(raw, lookup, { escape: this.#escape }));
  }

  /** The content of a heredoc of COPY or ADD. */
  heredoc({ content, expand }: Heredoc, find: FindVariable): Expanded {
    if (!expand || !content.includes('$')) return { undeclared: [], unset: [] };
    return this.#expand(content, find, (lookup) => expandHeredoc(content, lookup));
  }

  #expand(
    raw: string,
    find: FindVariable,
    run: (lookup: (name: string) => string | undefined) => { value: string; undefinedNames: readonly string[] },
  ): Expanded {
    if (/\$\{[^}]*[/#%]/.test(raw)) {
      this.#patterns += raw.split('${').length - 1;
      if (this.#patterns > MOST_PATTERNS) return { undeclared: [], unset: [] };
    }
    let certain = true;
    const unset = new Set<string>();
    try {
      const { value, undefinedNames } = run((name) => {
        const known = find(name);
        if (known?.state === 'value') return known.value;
        if (known?.state === 'unset') unset.add(name);
        if (known?.state !== 'unknown') return undefined;
        certain = false;
        return '';
      });
      const missing = new Set(undefinedNames);
      const result = {
        undeclared: undefinedNames.filter((name) => !unset.has(name)),
        unset: [...unset].filter((name) => missing.has(name)),
      };
      return certain && missing.size === 0 ? limited({ value, ...result }) : result;
    } catch {
      // Malformed (the parser has said so), `${v:?message}` without a value, or too long: the value is not known.
      return { undeclared: [], unset: [...unset] };
    }
  }
}

function limited(expanded: Expanded & { readonly value: string }): Expanded {
  const { value, ...rest } = expanded;
  return value.length > LONGEST_VALUE ? rest : expanded;
}

/** ENV of a stage over that of the stage it is built from. */
export class Environment {
  readonly #parent: Environment | undefined;
  readonly #depth: number;
  readonly #own: Map<string, Known>;

  constructor(parent?: Environment) {
    // A long row of stages must not become a long row of questions: now and then the parents' variables are taken over.
    const flatten = parent !== undefined && parent.#depth >= 64;
    this.#own = flatten ? parent.#all() : new Map();
    this.#parent = flatten ? undefined : parent;
    this.#depth = this.#parent === undefined ? 0 : this.#parent.#depth + 1;
  }

  get(name: string): Known | undefined {
    for (let at: Environment | undefined = this; at !== undefined; at = at.#parent) {
      const known = at.#own.get(name);
      if (known !== undefined) return known;
    }
    return undefined;
  }

  set(name: string, known: Known): void {
    this.#own.set(name, known);
  }

  /** The names of all that is set, the nearest first; for suggestions. */
  *names(): Generator<string> {
    for (let at: Environment | undefined = this; at !== undefined; at = at.#parent) yield* at.#own.keys();
  }

  #all(): Map<string, Known> {
    const chain: Environment[] = [];
    for (let at: Environment | undefined = this; at !== undefined; at = at.#parent) chain.push(at);
    return new Map(chain.reverse().flatMap((environment) => [...environment.#own]));
  }
}

/** A value as {@link Known}. */
export function known(value: string | undefined): Known {
  return value === undefined ? UNKNOWN : { state: 'value', value };
}

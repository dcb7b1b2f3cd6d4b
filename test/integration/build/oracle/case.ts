import type { Files } from './files.js';

/** One build that two builders are given. */
export interface OracleCase {
  /** What the table counts it under. */
  readonly area: string;
  readonly name: string;
  readonly context: Files;
  /** The Kubefile; it is written beside the context, and gets `# dialect=docker` for us. */
  readonly kubefile: string;
  /** The ignore file of the Kubefile itself: `<Kubefile>.dockerignore`. */
  readonly kubefileIgnore?: string;
  readonly args?: Readonly<Record<string, string>>;
  readonly target?: string;
  /** Images built before, in order, by the same builder from the same context; named `localhost/<key>`. */
  readonly images?: Readonly<Record<string, string>>;
  /** Both builders must refuse it. */
  readonly fails?: boolean;
  /** Why the results are meant to differ; then they must differ, and `ours` must hold. */
  readonly differs?: string;
  /** With `differs`: what Docker does. */
  readonly ours?: Ours;
}

/** What our result must be where the other builder is no guide. */
export interface Ours {
  /** The tree, as `unpackedTree` lists it, or the error's message. */
  readonly tree?: readonly string[];
  readonly error?: RegExp;
  /** Fields of the image config. */
  readonly config?: Readonly<Record<string, unknown>>;
}

type More = Omit<OracleCase, 'area' | 'name' | 'context' | 'kubefile'>;

/** A maker of cases of one area. */
export function area(name: string): (title: string, context: Files, kubefile: string, more?: More) => OracleCase {
  return (title, context, kubefile, more = {}) => ({ area: name, name: title, context, kubefile, ...more });
}

/** A maker of cases of one area that build from nothing: `FROM scratch` is put in front. */
export function fromScratch(name: string): (title: string, context: Files, body: string, more?: More) => OracleCase {
  const make = area(name);
  return (title, context, body, more) => make(title, context, `FROM scratch\n${body}\n`, more);
}

/** A word taken apart. */
export type WordPart = TextPart | VariablePart;

export interface TextPart {
  readonly kind: 'text';
  readonly text: string;
  /** Where it stands in the source; of the opening quote or the escape when there is one. */
  readonly offset: number;
  /** From quotes or behind an escape: blanks do not split it, wildcards in a pattern do not count. */
  readonly quoted: boolean;
}

export interface VariablePart {
  readonly kind: 'variable';
  readonly name: string;
  /** Of the `$`. */
  readonly offset: number;
  readonly quoted: boolean;
  /** Absent in `$v` and `${v}`. */
  readonly operation?: Operation;
}

export type Operation =
  | {
      /** `-`, `+` and `?`. */
      readonly kind: 'default' | 'alternative' | 'required';
      /** With `:` an empty value counts as not set. */
      readonly emptyIsUnset: boolean;
      readonly word: readonly WordPart[];
    }
  | {
      /** `#` and `%`; doubled they take the longest match. */
      readonly kind: 'trim';
      readonly side: 'prefix' | 'suffix';
      readonly longest: boolean;
      readonly pattern: readonly WordPart[];
    }
  | {
      /** `/p/r` and `//p/r`. */
      readonly kind: 'replace';
      readonly all: boolean;
      readonly pattern: readonly WordPart[];
      readonly replacement: readonly WordPart[];
    };

import type { Position } from './position.js';

/**
 * A stretch of text that is expanded at build time, when the environment is known: variables, quotes and escapes are
 * still in it. `expandWord` gives its value.
 */
export interface Word {
  readonly raw: string;
  /** Of its first character. */
  readonly position: Position;
}

/** `<<EOF`: a file written inside the Kubefile. */
export interface Heredoc {
  readonly name: string;
  /** Every line ends in `\n`; with `chomp` the leading tabs are already gone. */
  readonly content: string;
  /** False when any part of the marker is quoted. COPY and ADD expand the content (`expandHeredoc`), RUN leaves it to the shell. */
  readonly expand: boolean;
  /** `<<-`. */
  readonly chomp: boolean;
  /** Of the marker. */
  readonly position: Position;
}

/** `["a","b"]`: run as it is, without a shell. */
export interface ExecForm {
  readonly form: 'exec';
  readonly args: readonly string[];
}

/** Text for the shell, not expanded by the builder. */
export interface ShellForm {
  readonly form: 'shell';
  readonly text: string;
}

export type CommandLine = ExecForm | ShellForm;

/** An earlier stage or an image, as `--from=` names it; no variables. */
export interface StageOrImage {
  readonly name: string;
  /** Index of the stage; absent when an image is meant. */
  readonly stage?: number;
  readonly position: Position;
}

export interface KeyValue {
  readonly key: Word;
  readonly value: Word;
}

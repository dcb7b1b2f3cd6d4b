import type { Command } from 'commander';

/** A command's file: it adds itself to the program. `all` is for the command that completes the others. */
export interface CommandModule {
  define(program: Command, all: readonly CommandEntry[]): void;
}

export interface CommandEntry {
  /** The heading under which help lists it. */
  readonly group: string;
  /** The name, then its aliases. */
  readonly names: readonly [string, ...string[]];
  readonly summary: string;
  load(): Promise<CommandModule>;
}

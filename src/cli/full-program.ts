import type { Command } from 'commander';
import type { CommandEntry } from './command-entry.js';
import { createProgram } from './program.js';

/** The program with all its commands loaded: for what describes them all. */
export async function createFullProgram(all: readonly CommandEntry[]): Promise<Command> {
  const program = createProgram();
  for (const { group, names, summary, load } of all) {
    (await load()).define(program, all);
    program.commands
      .find((command) => command.name() === names[0])
      ?.summary(summary)
      .helpGroup(group);
  }
  return program;
}

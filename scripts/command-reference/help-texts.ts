import type { EventEmitter } from 'node:events';
import type { Command } from 'commander';

/** What a command's help says behind its flags. */
export interface HelpTexts {
  readonly examples: readonly { readonly line: string; readonly what: string }[];
  /** Texts that are no examples: the places of `copy`. */
  readonly others: readonly string[];
}

const EXAMPLES = '\nExamples:\n';

/** commander keeps these texts as listeners, and each writes what it has to say. */
export function helpTexts(command: Command): HelpTexts {
  const texts: string[] = [];
  const emitter = command as unknown as EventEmitter;
  emitter.emit('afterHelp', { error: false, command, write: (text: string) => texts.push(text) });
  return {
    examples: texts.filter((text) => text.startsWith(EXAMPLES)).flatMap(readExamples),
    others: texts.filter((text) => !text.startsWith(EXAMPLES)).map((text) => text.trim()),
  };
}

/** Written by `examples` of src/cli/action.ts: a line `$ command`, and what it does on the next. */
function readExamples(text: string): { readonly line: string; readonly what: string }[] {
  return [...text.matchAll(/^ {2}\$ (.*)\n {6}(.*)$/gm)].map(([, line = '', what = '']) => ({ line, what }));
}

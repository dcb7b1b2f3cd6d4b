import type { RunInstruction } from './ast.js';
import { findInCommand } from './heredoc.js';

/** What a RUN runs. */
export type RunScript =
  /** A program and its arguments, without a shell. */
  | { readonly kind: 'exec'; readonly args: readonly string[] }
  /** Text for the shell (`sh -c`). */
  | { readonly kind: 'shell'; readonly text: string }
  /** A file that begins with `#!`, to be made executable and run. */
  | { readonly kind: 'file'; readonly content: string };

/**
 * Puts a RUN and its heredocs together, as BuildKit does: a RUN that is nothing but `<<EOF` runs the content, with the
 * interpreter that its `#!` line names or else with the shell; in any other the shell gets the text and the heredocs as they stand in
 * the Kubefile, and makes files of them itself.
 */
export function runScript({ command, heredocs }: Pick<RunInstruction, 'command' | 'heredocs'>): RunScript {
  if (command.form === 'exec') return { kind: 'exec', args: command.args };
  const [only] = heredocs;
  if (only === undefined) return { kind: 'shell', text: command.text };
  const [marker] = findInCommand(command.text, 0);
  if (heredocs.length === 1 && marker?.start === 0 && marker.end === command.text.length)
    return only.content.startsWith('#!')
      ? { kind: 'file', content: only.content }
      : { kind: 'shell', text: only.content };
  const documents = heredocs.map(({ name, content }) => `\n${content}${name}`);
  return { kind: 'shell', text: command.text + documents.join('') };
}

import type { Command } from 'commander';

/** What the program has: flags by command, `registry push` and its like under both words. */
export interface Cli {
  readonly flags: ReadonlyMap<string, ReadonlySet<string>>;
  /** Commands after whose first argument everything belongs to another program. */
  readonly passing: ReadonlySet<string>;
}

export function cliOf(program: Command): Cli {
  const flags = new Map<string, Set<string>>();
  const add = (prefix: string, command: Command): void => {
    const options = command.options.flatMap(({ short, long }) => [short, long].filter((flag) => flag != null));
    for (const name of [command.name(), ...command.aliases()]) {
      flags.set(`${prefix}${name}`, new Set([...options, '-h', '--help']));
      for (const sub of command.commands) add(`${prefix}${name} `, sub);
    }
  };
  for (const command of program.commands) add('', command);
  return { flags, passing: new Set(['exec', 'unshare']) };
}

/** Global flags that may stand before the command, and take a value. */
const WITH_VALUE = new Set(['--root', '--format', '--progress']);
/** `slipway` where a command begins, and what follows in its line. */
const CALL = /(?<=^|[|;&(="'`$]\s*|\bsudo |\bssh \S+ )(?:(?:[\w./-]*\/)?bin\/)?slipway((?:[ \t]+\S+)+)/;
/** What ends the arguments of a command. */
const END = /^(?:\|.*|&.*|;|\d?[<>].*|\))$/;

/** What is wrong with the calls of slipway in a line of shell or in backticks: a command or a flag that there is not. */
export function problemsOf(text: string, cli: Cli): string[] {
  return calls(text.replace(/(^|\s)#.*$/, '')).flatMap((words) => problemOf(words, cli));
}

/** The words behind each `slipway` that is called, up to the end of that command. */
function calls(text: string): string[][] {
  const found = CALL.exec(text);
  if (found === null) return [];
  const words: string[] = [];
  for (const word of (found[1] ?? '').trim().split(/\s+/)) {
    if (END.test(word)) break;
    words.push(word.replace(/^["'(]+/, '').replace(/["');,:.]+$/, ''));
    // `$(slipway mount k8s:v1)"`, `slipway reset;`, `'slipway status'`: another command, or none, follows.
    if (/[);]["']?$|[^"'=]["'],?$/.test(word) && !/^["'].*["']$/.test(word)) break;
  }
  // Those within, `slipway save x | ssh site slipway load`, are found from there on.
  return [words, ...calls(text.slice(found.index + 'slipway'.length))];
}

function problemOf(words: readonly string[], { flags, passing }: Cli): string[] {
  let at = 0;
  while (words[at]?.startsWith('-')) at += WITH_VALUE.has(words[at] ?? '') ? 2 : 1;
  const first = words[at] ?? '';
  // `slipway COMMAND --help`, `slipway …`, `slipway 0.1.0`, and the program named in a sentence.
  if (!/^[a-z][a-z-]*$/.test(first) || first === 'help') return [];
  const sub = `${first} ${words[at + 1] ?? ''}`;
  const name = flags.has(sub) ? sub : first;
  const known = flags.get(name);
  if (known === undefined) return [`there is no command "slipway ${first}"`];
  const wrong: string[] = [];
  for (const word of words.slice(at + (name === sub ? 2 : 1))) {
    if (word === '--' || (passing.has(name) && !word.startsWith('-'))) break;
    const flag = /^\[?(--?[A-Za-z][\w-]*)/.exec(word)?.[1];
    if (flag !== undefined && !known.has(flag)) wrong.push(`"slipway ${name}" has no flag ${flag}`);
  }
  return wrong;
}

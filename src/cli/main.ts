import { SlipwayError } from '../base/errors.js';
import { suggest } from '../base/suggest.js';
import { COMMANDS, findCommand } from './commands.js';
import { reportFailure, reportHint } from './failure.js';
import { isStopping } from './interrupt.js';
import { isOfClosedTerminal, outliveTerminal } from './terminal.js';

/** `slipway version` must cost no more than starting Node does, so nothing is loaded before it is known to be needed. */
async function main(args: readonly string[]): Promise<void> {
  const name = commandName(args);
  if (name === 'version' || (name === undefined && (args.includes('--version') || args.includes('-V')))) {
    const { printVersion } = await import('./version.js');
    if (printVersion(args)) return;
  }
  if (args[0] === 'help' && name !== undefined && name !== 'help' && findCommand(name) === undefined)
    throw noCommand(name);
  const { createProgram } = await import('./program.js');
  const program = createProgram();
  const known = name === undefined ? undefined : findCommand(name);
  if (known !== undefined) (await known.load()).define(program, COMMANDS);
  else
    for (const { group, names, summary } of COMMANDS)
      program.command(names[0]).description(summary).aliases(names.slice(1)).helpGroup(group);
  try {
    await program.parseAsync([...args], { from: 'user' });
  } catch (error) {
    const { usageHint } = await import('./usage-hint.js');
    const hint = usageHint(program, args, error);
    if (hint !== undefined) reportHint(hint);
    throw error;
  }
}

function noCommand(name: string): SlipwayError {
  const near = suggest(
    name,
    COMMANDS.flatMap(({ names }) => names),
  );
  return new SlipwayError('E_USAGE', `there is no command ${name}`, {
    hint: near === undefined ? '"slipway help" lists them' : `did you mean ${near}?`,
  });
}

/** The first word that is not a flag or the value of a global flag. */
function commandName(args: readonly string[]): string | undefined {
  for (let index = 0; index < args.length; index++) {
    const arg = args[index] ?? '';
    if (arg === '--root' || arg === '--format' || arg === '--progress') index++;
    else if (!arg.startsWith('-')) return arg === 'help' ? args[index + 1] : arg;
  }
  return undefined;
}

// `slipway images | head -1`: the reader has what it wanted. The exit code is what SIGPIPE gives other programs.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  // Nobody is there any more to tell; what is under way comes to its end all the same.
  if (isOfClosedTerminal(error) || (error.code === 'EPIPE' && isStopping())) return;
  if (error.code === 'EPIPE') process.exit(141);
  process.stderr.write(`error: cannot write the output: ${error.message}\n`);
  process.exit(1);
});
// Nobody listens to what is told on the way: no reason to stop the work.
process.stderr.on('error', () => {});
outliveTerminal();

try {
  await main(process.argv.slice(2));
} catch (error) {
  process.exitCode = reportFailure(error, process.argv);
}

import { isSlipwayError, messageOf } from '../base/errors.js';
import { redact } from '../base/redact.js';
import { style } from './progress.js';

/**
 * Tells a person why a command failed: the message, then a hint, never a stack unless `--debug` is given. With `--format json` the
 * same as one JSON object, on standard error too.
 * @returns the exit code, see docs/errors.md.
 */
export function reportFailure(error: unknown, argv: readonly string[]): number {
  const debug = argv.includes('--debug');
  const exit = commanderExit(error);
  if (exit !== undefined) return exit;
  const known = isSlipwayError(error);
  const code = known ? error.code : 'E_INTERNAL';
  const exitCode = known ? error.exitCode : 1;
  const hint = known ? error.hint : 'this is a bug in slipway; run again with --debug and report what it prints';
  if (wantsJson(argv)) {
    const details = known && error.details !== undefined ? { details: error.details } : {};
    process.stderr.write(
      `${JSON.stringify({ error: { code, message: redact(messageOf(error)), ...(hint === undefined ? {} : { hint }), ...details } })}\n`,
    );
  } else {
    process.stderr.write(`${style(process.stderr, '31', 'error:')} ${redact(messageOf(error))}\n`);
    if (hint !== undefined) process.stderr.write(`${style(process.stderr, '36', ' hint:')} ${hint}\n`);
  }
  if (debug && error instanceof Error) process.stderr.write(`${redact(stackOf(error))}\n`);
  return exitCode;
}

/** commander throws to end the program; it has printed its message already. Wrong usage is 2, help and version are 0. */
function commanderExit(error: unknown): number | undefined {
  if (typeof error !== 'object' || error === null || !('code' in error) || typeof error.code !== 'string')
    return undefined;
  if (!error.code.startsWith('commander.')) return undefined;
  return 'exitCode' in error && error.exitCode === 0 ? 0 : 2;
}

function wantsJson(argv: readonly string[]): boolean {
  return argv.includes('--json') || argv.includes('--format=json') || argv[argv.indexOf('--format') + 1] === 'json';
}

function stackOf(error: Error): string {
  const stack = error.stack ?? String(error);
  return error.cause instanceof Error ? `${stack}\ncaused by: ${stackOf(error.cause)}` : stack;
}

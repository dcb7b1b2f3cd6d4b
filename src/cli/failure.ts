import { errnoOf, fileSystemError, isSlipwayError, messageOf, SlipwayError } from '../base/errors.js';
import { redact } from '../base/redact.js';
import { printableJson, terminalSafe } from './output.js';
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
  if (errnoOf(error) === 'EPIPE') return 141;
  const failure = ofThisMachine(error);
  const known = isSlipwayError(failure);
  const code = known ? failure.code : 'E_INTERNAL';
  const exitCode = known ? failure.exitCode : 1;
  const hint = known ? failure.hint : 'this is a bug in slipway; run again with --debug and report what it prints';
  if (wantsJson(argv)) {
    const details = known && failure.details !== undefined ? { details: failure.details } : {};
    process.stderr.write(
      `${printableJson(JSON.stringify({ error: { code, message: messageOf(failure), ...(hint === undefined ? {} : { hint }), ...details } }, redacted))}\n`,
    );
  } else {
    process.stderr.write(`${style(process.stderr, '31', 'error:')} ${terminalSafe(redact(messageOf(failure)))}\n`);
    if (hint !== undefined) reportHint(hint);
  }
  if (debug && error instanceof Error) process.stderr.write(`${terminalSafe(redact(stackOf(error)))}\n`);
  return exitCode;
}

/** What to do next, on a line of its own. */
export function reportHint(hint: string): void {
  process.stderr.write(`${style(process.stderr, '36', ' hint:')} ${terminalSafe(redact(hint))}\n`);
}

/** A replacer for JSON: texts without secrets. */
function redacted(_key: string, value: unknown): unknown {
  return typeof value === 'string' ? redact(value) : value;
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

/** What the file system said of a path that a person gave is no bug: it becomes an error like others. */
function ofThisMachine(error: unknown): unknown {
  const mapped = fileSystemError(error, 'working on files');
  if (isSlipwayError(mapped)) return mapped;
  const code = errnoOf(error);
  const reasons: Readonly<Record<string, string>> = {
    ENOENT: 'no such file or directory',
    ENOTDIR: 'a part of the path is not a directory',
    EISDIR: 'it is a directory',
    EEXIST: 'it exists already',
    EBUSY: 'it is in use',
    ENAMETOOLONG: 'the name is too long',
    ELOOP: 'too many symbolic links',
  };
  const reason = code === undefined ? undefined : reasons[code];
  if (reason === undefined) return error;
  const path = typeof error === 'object' && error !== null && 'path' in error ? String(error.path) : messageOf(error);
  const shown = path.length > 300 ? `${path.slice(0, 300)}…` : path;
  return new SlipwayError('E_NOT_FOUND', `${shown}: ${reason}`, { cause: error });
}

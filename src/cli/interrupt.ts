import { setMaxListeners } from 'node:events';
import { SlipwayError } from '../base/errors.js';
import { isUnderNohup } from './terminal.js';

let controller: AbortController | undefined;

/**
 * A signal that the first Ctrl-C (or SIGTERM) aborts, so that work can end in order. The second ends the process at once with 130:
 * everything unfinished is under a temporary name and swept by the next command.
 *
 * SIGHUP aborts it too, however often it comes: of a terminal that is closed the kernel, the shell and the session manager all tell.
 */
export function interruptSignal(): AbortSignal {
  if (controller !== undefined) return controller.signal;
  const abort = new AbortController();
  controller = abort;
  // Everything that runs at a time listens to it.
  setMaxListeners(0, abort.signal);
  const stop = (notice: string): void => {
    if (abort.signal.aborted) return;
    process.stderr.write(`\nslipway: ${notice}\n`);
    abort.abort(new SlipwayError('E_INTERRUPTED', 'interrupted'));
  };
  let asked = false;
  const onSignal = (): void => {
    if (asked) process.exit(130);
    asked = true;
    stop('stopping; press Ctrl-C again to stop at once');
  };
  process.on('SIGINT', onSignal);
  process.on('SIGTERM', onSignal);
  const onHangup = isUnderNohup() ? () => {} : () => stop('the terminal was closed (SIGHUP): stopping');
  process.on('SIGHUP', onHangup);
  return abort.signal;
}

/** Whether the work is being ended in order. */
export function isStopping(): boolean {
  return controller?.signal.aborted === true;
}

import { SlipwayError } from '../base/errors.js';

let controller: AbortController | undefined;

/**
 * A signal that the first Ctrl-C (or SIGTERM) aborts, so that work can end in order. The second ends the process at once with 130:
 * everything unfinished is under a temporary name and swept by the next command.
 */
export function interruptSignal(): AbortSignal {
  if (controller !== undefined) return controller.signal;
  const abort = new AbortController();
  controller = abort;
  const onSignal = (): void => {
    if (abort.signal.aborted) process.exit(130);
    process.stderr.write('\nslipway: stopping; press Ctrl-C again to stop at once\n');
    abort.abort(new SlipwayError('E_INTERRUPTED', 'interrupted'));
  };
  process.on('SIGINT', onSignal);
  process.on('SIGTERM', onSignal);
  return abort.signal;
}

import { parentPort } from 'node:worker_threads';
import { isSlipwayError, messageOf } from '../../base/errors.js';
import { type CheckTask, runCheck } from './check-blob.js';
import type { FromChecker } from './check-pool.js';

// The other end of CheckPool: checks one thing after the other.

/** Bytes between two messages about progress. */
const REPORT = 8 * 1024 * 1024;

const port = parentPort;
port?.on('message', (task: CheckTask) => {
  const send = (message: FromChecker): void => port.postMessage(message);
  let bytes = 0;
  const progress = (more: number): void => {
    bytes += more;
    if (bytes < REPORT) return;
    send({ read: bytes });
    bytes = 0;
  };
  runCheck(task, progress).then(
    (verdict) => {
      send({ read: bytes });
      send({ verdict });
    },
    (error: unknown) =>
      send({
        failed: messageOf(error),
        ...(isSlipwayError(error)
          ? { code: error.code, ...(error.hint === undefined ? {} : { hint: error.hint }) }
          : {}),
      }),
  );
});

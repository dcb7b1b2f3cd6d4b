import { parentPort, workerData } from 'node:worker_threads';
import { type FromWriter, failureOf, type ToWriter, type WriterTask } from './remote-writer.js';
import { writeTar } from './tree-writer.js';

// The other end of RemoteWriter: reads the pieces of a tar from its messages and writes the files.

const port = parentPort;
if (port !== null) {
  const queue: ToWriter[] = [];
  let wake: () => void = () => {};
  port.on('message', (message: ToWriter) => {
    queue.push(message);
    wake();
  });
  const send = (message: FromWriter): void => port.postMessage(message);
  async function* pieces(): AsyncGenerator<Buffer> {
    for (;;) {
      const next = queue.shift();
      if (next === 'end') return;
      if (next === undefined) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      } else {
        yield Buffer.from(next.buffer, next.byteOffset, next.byteLength);
        send('taken');
      }
    }
  }
  const { root, options, limits } = workerData as WriterTask;
  writeTar(pieces(), root, options, limits).then(
    () => send('written'),
    (error: unknown) => send(failureOf(error)),
  );
}

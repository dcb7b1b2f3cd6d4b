import { parentPort } from 'node:worker_threads';
import { failureOf } from '../../base/thread-failure.js';
import { GrowingFile } from './growing-file.js';
import { readLayer } from './read-layer.js';
import type { FromReader, ToReader } from './reader-thread.js';

// The other end of ReaderThread: reads one layer after the other.

const port = parentPort;
const send = (message: FromReader): void => port?.postMessage(message);
let file: GrowingFile | undefined;

port?.on('message', (message: ToReader) => {
  if (message === 'grown') file?.grown();
  else if (message === 'complete') file?.complete();
  else {
    file = new GrowingFile(message.fd);
    readLayer(file.bytes(), message.compression).then(send, (error: unknown) => send(failureOf(error)));
  }
});

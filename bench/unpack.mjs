// node bench/unpack.mjs TAR DIR DIFFID: unpacks a layer, verified.
import { createReadStream } from 'node:fs';
import { unpackLayer } from '../dist/measured.js';

const [tar, dir, diffId] = process.argv.slice(2);
await unpackLayer(createReadStream(tar, { highWaterMark: 1024 * 1024 }), {
  compression: 'none',
  dir,
  whiteouts: 'overlay',
  expect: { diffId },
});

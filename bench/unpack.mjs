// node bench/unpack.mjs LAYER DIR DIFFID [COMPRESSION]: unpacks a layer, verified.
import { createReadStream } from 'node:fs';
import { unpackLayer } from '../dist/measured-unpack.js';

const [layer, dir, diffId, compression = 'none'] = process.argv.slice(2);
await unpackLayer(createReadStream(layer, { highWaterMark: 1024 * 1024 }), {
  compression,
  dir,
  whiteouts: 'overlay',
  expect: { diffId },
});

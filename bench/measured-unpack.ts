/** As measured.ts, alone: starting it is a part of what is measured. */
export { unpackLayer } from '../src/layers/unpack.js';

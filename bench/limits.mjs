// node bench/limits.mjs gzip FILE LEVEL: what no builder can be faster than on this machine: every byte hashed once and deflated once, on all
// cores, and nothing else. FILE is read into memory first, which is not counted.
import { hash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { promisify } from 'node:util';
import { deflateRaw } from 'node:zlib';

const [, file, level] = process.argv.slice(2);
const bytes = readFileSync(file);
const deflate = promisify(deflateRaw);
const BLOCK = 1024 * 1024;
const started = performance.now();
let at = 0;
const lane = async () => {
  while (at < bytes.length) {
    const block = bytes.subarray(at, at + BLOCK);
    at += BLOCK;
    await deflate(block, { level: Number(level), memLevel: 9 });
  }
};
const lanes = [lane(), lane(), lane(), lane()];
hash('sha256', bytes);
await Promise.all(lanes);
process.stdout.write(`${((performance.now() - started) / 1000).toFixed(3)}\n`);

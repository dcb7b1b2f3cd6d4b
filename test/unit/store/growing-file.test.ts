import { closeSync, openSync, renameSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { GrowingFile } from '../../../src/store/prove/growing-file.js';
import { tempDirectory } from '../../support/temp.js';

const home = tempDirectory();

it('gives all bytes of a file, also those that come while it is read and after it was renamed', async () => {
  const path = join(home, 'growing');
  const out = openSync(path, 'w');
  const fd = openSync(path, 'r');
  const file = new GrowingFile(fd);
  const stream = file.bytes();
  writeSync(out, 'one ');
  expect((await stream.next()).value?.toString()).toBe('one ');
  const next = stream.next();
  let settled = false;
  next.finally(() => {
    settled = true;
  });
  await new Promise((resolve) => setImmediate(resolve));
  expect(settled).toBe(false);
  renameSync(path, join(home, 'grown'));
  writeSync(out, 'two ');
  file.grown();
  expect((await next).value?.toString()).toBe('two ');
  // What comes right before the end is told together with it.
  const last = stream.next();
  writeSync(out, 'three');
  file.complete();
  expect((await last).value?.toString()).toBe('three');
  expect((await stream.next()).done).toBe(true);
  closeSync(out);
  closeSync(fd);
});

it('ends at once when it was complete before anybody read', async () => {
  const path = join(home, 'complete');
  const fd = openSync(path, 'w+');
  writeSync(fd, 'all of it');
  const file = new GrowingFile(fd);
  file.complete();
  const pieces: string[] = [];
  for await (const piece of file.bytes()) pieces.push(piece.toString());
  expect(pieces.join('')).toBe('all of it');
  closeSync(fd);
});

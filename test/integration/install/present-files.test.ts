// Whether a host has files as they should be, with this machine as the host.
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { connectHost } from '../../../src/hosts/connect.js';
import { presentFiles } from '../../../src/install/registry/present-files.js';
import { tempDirectory } from '../../support/temp.js';

const scratch = tempDirectory('slipway-present-');
const host = connectHost('127.0.0.1');
afterAll(() => host.close());

const files = [
  { path: join(scratch, "it's $one.toml"), content: 'one\n', mode: 0o644 },
  { path: join(scratch, 'two'), content: '', mode: 0o755 },
];
const [one] = files as [(typeof files)[0]];
const put = (): void => {
  for (const { path, content, mode } of files) {
    rmSync(path, { recursive: true, force: true });
    writeFileSync(path, content);
    chmodSync(path, mode);
  }
};

const replaced = (by: () => unknown): void => {
  rmSync(one.path);
  by();
};

it('says that files are there, with contents and modes', async () => {
  put();
  expect(await presentFiles(host, files)).toBe(true);
  expect(await presentFiles(host, [])).toBe(true);
});

it.each<[string, () => void]>([
  ['is missing', () => rmSync(one.path)],
  ['has another content', () => writeFileSync(one.path, 'onE\n')],
  ['has another mode', () => chmodSync(one.path, 0o600)],
  ['is a link', () => replaced(() => symlinkSync('two', one.path))],
  ['is a directory', () => replaced(() => mkdirSync(one.path))],
  ['is a FIFO', () => replaced(() => execFileSync('mkfifo', ['-m', '644', one.path]))],
])('says that one %s', async (_, change) => {
  put();
  change();
  expect(await presentFiles(host, files)).toBe(false);
});

import * as fs from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, vi } from 'vitest';
import { isSlipwayError } from '../../../src/base/errors.js';
import { DirectorySource } from '../../../src/build/copy/directory-source.js';
import type { SourceEntry } from '../../../src/build/copy/source-tree.js';
import { tempDirectory } from '../../support/temp.js';

/** Called before every look at the file system. */
let before: () => void = () => {};

vi.mock('node:fs', async (original) => {
  const real = await original<typeof fs>();
  const watched = Object.fromEntries(
    (['lstatSync', 'fstatSync', 'readdirSync', 'readlinkSync', 'openSync'] as const).map((name) => [
      name,
      (...args: unknown[]) => {
        before();
        return Reflect.apply(real[name] as (...all: unknown[]) => unknown, real, args);
      },
    ]),
  );
  return { ...real, ...watched };
});

const home = tempDirectory();
const root = join(home, 'context');
const outside = join(home, 'outside');
const MOST_CALLS = 40;

function exchange(): void {
  fs.renameSync(join(root, 'd'), join(home, 'parked'));
  fs.renameSync(join(home, 'link'), join(root, 'd'));
}

function exchangeBack(): void {
  fs.renameSync(join(root, 'd'), join(home, 'link'));
  fs.renameSync(join(home, 'parked'), join(root, 'd'));
}

describe('a directory that is exchanged for a link while it is read', () => {
  for (const dir of [root, outside, join(root, 'd'), join(outside, 'sub')]) fs.mkdirSync(dir);
  for (const name of ['file', 'only-outside', 'sub/deep']) fs.writeFileSync(join(outside, name), 'secret');
  fs.writeFileSync(join(root, 'd/file'), 'content');
  fs.symlinkSync(outside, join(home, 'link'));
  const secrets = ['file', 'only-outside', 'sub/deep'].map((name) => fs.lstatSync(join(outside, name)).ino);
  const source = new DirectorySource(root, 'the context', ({ mode }) => mode & 0o777);

  it.each<readonly [string, () => readonly (SourceEntry | undefined)[]]>([
    ['walked through', () => [...source.walk('')]],
    ['walked through from inside', () => [...source.walk('d')]],
    ['named', () => [source.find('d/file'), source.find('d/only-outside')]],
    ['matched', () => source.names('d').map((name) => source.findMatch(`d/${name}`))],
  ])('%s never shows what is outside, whenever that happens', (_, take) => {
    let seen = 0;
    for (let there = 1; there < MOST_CALLS; there++) {
      for (let back = there + 1; back <= MOST_CALLS; back++) {
        let calls = 0;
        let exchanged = false;
        before = () => {
          calls++;
          if (calls === there) {
            exchanged = true;
            exchange();
          } else if (calls === back) {
            exchanged = false;
            exchangeBack();
          }
        };
        try {
          for (const entry of take()) {
            if (entry?.content?.in !== 'directory') continue;
            seen++;
            expect(secrets, `exchanged at call ${there}, back at ${back}`).not.toContain(entry.content.stats.ino);
          }
        } catch (error) {
          if (!isSlipwayError(error, 'E_FILE_CHANGED', 'E_COPY')) throw error;
        } finally {
          before = () => {};
          if (exchanged) exchangeBack();
        }
        if (calls < there) break;
      }
    }
    expect(seen).toBeGreaterThan(0);
  });
});

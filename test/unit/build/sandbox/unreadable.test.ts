import { chmodSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { unreadableByOthers } from '../../../../src/build/sandbox/unreadable.js';
import { tempDirectory } from '../../../support/temp.js';

const home = tempDirectory();

it('finds what others cannot read, the topmost directory of it, and follows no link', () => {
  const top = join(home, 'top');
  for (const dir of ['open', 'closed/deep', 'skipped']) mkdirSync(join(top, dir), { recursive: true });
  for (const [name, mode] of [
    ['open/hash', 0o640],
    ['open/public', 0o644],
    ['closed/deep/key', 0o600],
    ['skipped/key', 0o600],
  ] as const) {
    writeFileSync(join(top, name), 'x');
    chmodSync(join(top, name), mode);
  }
  chmodSync(join(top, 'closed'), 0o711);
  symlinkSync('../closed/deep', join(top, 'open/link'));
  expect(unreadableByOthers([top, join(home, 'absent')], [join(top, 'skipped')])).toEqual({
    files: [join(top, 'open/hash')],
    directories: [join(top, 'closed')],
  });
});

import { execFileSync } from 'node:child_process';
import { chmodSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseChmod } from '../../../src/build/copy/chmod.js';
import { resolveOwner } from '../../../src/build/copy/owner.js';
import { tempDirectory } from '../../support/temp.js';

const home = tempDirectory();

describe('--chmod', () => {
  it.each([
    ['644', 0o777, 0o644],
    ['0755', 0, 0o755],
    ['7777', 0, 0o7777],
    ['0', 0o777, 0],
    ['+x', 0o644, 0o755],
    ['u+x,go-rwx', 0o644, 0o700],
    ['u=rwX,go=rX', 0o600, 0o644],
    ['u=rwX,go=rX', 0o700, 0o755],
    ['g=u', 0o640, 0o660],
    ['a=r+w', 0o777, 0o666],
    ['u+s,+t', 0o755, 0o5755],
    ['o=', 0o777, 0o770],
  ])('%s of %o is %o', (text, before, after) => {
    expect(parseChmod(text)(before, false).toString(8)).toBe(after.toString(8));
  });

  it.each(['8', '10000', 'x', 'u', 'u+y', 'u+x,', ',', '', '0o644', '-1', ' 644'])('%j is refused', (text) => {
    expect(() => parseChmod(text)).toThrowError(expect.objectContaining({ code: 'E_COPY' }));
  });

  it('means what chmod(1) means', () => {
    const file = join(home, 'file');
    writeFileSync(file, '');
    const clause = fc
      .tuple(
        fc.constantFrom('u', 'g', 'o', 'a', 'ug', 'go', 'uo'),
        fc.constantFrom('+', '-', '='),
        fc.constantFrom('', 'r', 'w', 'x', 'X', 'rw', 'rwX', 's', 't', 'u', 'g', 'o', 'rwxst'),
      )
      .map((parts) => parts.join(''));
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 0o7777 }),
        fc.array(clause, { minLength: 1, maxLength: 3 }),
        (mode, clauses) => {
          chmodSync(file, mode);
          execFileSync('chmod', [clauses.join(','), file]);
          expect(parseChmod(clauses.join(','))(mode, false).toString(8)).toBe(
            (statSync(file).mode & 0o7777).toString(8),
          );
        },
      ),
      { numRuns: 150 },
    );
  });
});

describe('--chown', () => {
  const files = {
    passwd: async () => 'root:x:0:0:root:/root:/bin/sh\napp:x:1000:2000::/:\nbroken:x:y:z::/:\n',
    group: async () => 'root:x:0:\nstaff:x:50:app\n',
  };

  it.each([
    ['app', 1000, 2000],
    ['app:staff', 1000, 50],
    ['app:7', 1000, 7],
    ['5', 5, 5],
    ['5:6', 5, 6],
    ['0', 0, 0],
    ['app:', 1000, 2000],
    ['4294967294:1', 4294967294, 1],
  ])('%s is %d:%d', async (text, uid, gid) => {
    expect(await resolveOwner(text, files)).toEqual({ uid, gid });
  });

  it.each(['nobody', 'app:nobody', 'broken', '', ':', ':5', 'app:a:b', '4294967295', '-1', '99999999999999999999'])(
    '%j is refused',
    async (text) => {
      await expect(resolveOwner(text, files)).rejects.toMatchObject({ code: 'E_COPY' });
    },
  );

  it('asks for no file when there are only numbers', async () => {
    const never = () => Promise.reject(new Error('asked'));
    expect(await resolveOwner('1:2', { passwd: never, group: never })).toEqual({ uid: 1, gid: 2 });
  });
});

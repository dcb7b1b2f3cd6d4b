import { expect, it } from 'vitest';
import { findProgram, programPath, requireProgram } from '../../../../src/build/sandbox/programs.js';

it('finds a program in an absolute directory of PATH', () => {
  expect(findProgram('mount', '/no/such:/usr/bin:/bin')).toMatch(/\/bin\/mount$/);
  expect(findProgram('mount', '/no/such')).toBeUndefined();
});

it.each([
  ['bwrap', 'bubblewrap'],
  ['runc', 'runc'],
  ['setpriv', 'util-linux'],
] as const)('names the Debian package of %s when it is missing', (name, debianPackage) => {
  expect(() => requireProgram(name, 'RUN in host isolation', '/no/such')).toThrow(
    expect.objectContaining({
      code: 'E_MISSING_PROGRAM',
      message: `RUN in host isolation needs the program ${name}, and it is not installed`,
      hint: `install it: apt-get install ${debianPackage}`,
    }),
  );
});

it("adds the system's directories to the user's PATH, without relative ones", () => {
  expect(programPath({ PATH: '/opt/bin:.::/usr/bin' })).toBe(
    '/opt/bin:/usr/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/sbin:/bin',
  );
});

import { describe, expect, it } from 'vitest';
import { FIRST_COMMAND, header, KEEPER_READY, rootCommand } from '../../../src/hosts/root-shell.js';

describe('the command line of a root shell', () => {
  it.each([FIRST_COMMAND, rootCommand('root'), rootCommand('sudo'), rootCommand('sudo-password')])(
    'means the same to every login shell, csh and fish too: %s',
    (command) => {
      expect(command).toMatch(/^exec /);
      // csh expands ! and stops at a line end, fish reads backslashes, all inside single quotes
      expect(command).not.toMatch(/[\\!\n]/);
      // what is not in single quotes is plain words
      const outside = command.split("'").filter((_, index) => index % 2 === 0);
      expect(outside.join('')).toMatch(/^[a-z \-SHnkp]*$/);
    },
  );

  it('is followed by a header that says what comes', () => {
    expect(header(undefined, 10, true)).toBe('slipway - - 10 1\n');
    expect(header({ directory: '/run/slipway.x', id: 3 }, 7, false)).toBe('slipway /run/slipway.x 3 7 0\n');
  });

  it('believes no directory that a keeper would not make', () => {
    expect(KEEPER_READY.exec('slipway-keeper 0 sudo /run/slipway.AbC012')?.slice(1)).toEqual([
      '0',
      'sudo',
      '/run/slipway.AbC012',
    ]);
    expect(KEEPER_READY.test('slipway-keeper 0 root /run/slipway.x; reboot')).toBe(false);
  });
});

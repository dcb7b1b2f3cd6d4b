import { describe, expect, it } from 'vitest';
import { chooseIsolation } from '../../../../src/build/sandbox/isolation.js';

const rootfsWith =
  (...files: string[]) =>
  (path: string): boolean =>
    files.includes(path);

describe('choosing the isolation of a RUN', () => {
  it('is the container when the rootfs has the shell', () => {
    expect(chooseIsolation('auto', ['/bin/sh', '-c'], rootfsWith('/bin/sh'))).toBe('container');
  });

  it('is the machine when the rootfs has no such shell', () => {
    expect(chooseIsolation('auto', ['/bin/bash', '-c'], rootfsWith('/bin/sh'))).toBe('host');
    expect(chooseIsolation('auto', [], rootfsWith('/bin/sh'))).toBe('host');
  });

  it('looks for a bare name where programs are', () => {
    expect(chooseIsolation('auto', ['bash', '-c'], rootfsWith('/usr/bin/bash'))).toBe('container');
    expect(chooseIsolation('auto', ['bash', '-c'], rootfsWith('/opt/bash'))).toBe('host');
  });

  it('is what was asked for', () => {
    expect(chooseIsolation('host', ['/bin/sh', '-c'], rootfsWith('/bin/sh'))).toBe('host');
    expect(chooseIsolation('container', ['/bin/sh', '-c'], rootfsWith('/bin/sh'))).toBe('container');
  });

  it('refuses a container without a shell and says what to do', () => {
    expect(() => chooseIsolation('container', ['/bin/sh', '-c'], rootfsWith('/etc/passwd'))).toThrow(
      expect.objectContaining({
        code: 'E_NOT_FOUND',
        message: 'RUN cannot use container isolation: the rootfs has no /bin/sh',
        hint: expect.stringContaining('--isolation=host'),
      }),
    );
  });
});

import { describe, expect, it } from 'vitest';
import { factsScript, parseFacts } from '../../../src/hosts/facts.js';

const printed = `clock=1700000000.250000000
uid=0
hostname=m1
machineId=0123456789abcdef0123456789abcdef
machine=aarch64
kernel=6.1.0-13-arm64
osRelease=PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"
cpus=4
memoryKiB=8000000
disk=1000 4096
listening=00000000:0016
listening=0100007F:1F90
listening=00000000000000000000000000000000:0016
program=tar
systemd=1
swap=1
swap=1
end=1
`;

describe('facts', () => {
  it('are read', () => {
    expect(parseFacts('10.0.0.1', printed, 1_700_000_000_000)).toEqual({
      hostname: 'm1',
      machineId: '0123456789abcdef0123456789abcdef',
      architecture: 'arm64',
      osName: 'Debian GNU/Linux 12 (bookworm)',
      kernel: '6.1.0-13-arm64',
      clockSkewMs: 250,
      cpus: 4,
      memoryBytes: 8_192_000_000,
      diskFreeBytes: 4_096_000,
      listeningPorts: [22, 8080],
      programs: ['tar'],
      uid: 0,
      systemd: true,
      swapOn: true,
    });
  });

  it('may lack what not every host has', () => {
    const bare = printed.replace(/^(osRelease|listening|program|systemd|swap)=.*\n/gm, '').replace(/0123.*/, '');
    expect(parseFacts('10.0.0.1', bare, 0)).toMatchObject({
      machineId: '',
      osName: '',
      listeningPorts: [],
      programs: [],
      systemd: false,
      swapOn: false,
    });
  });

  it.each([
    ['PRETTY_NAME=Alpine', 'Alpine'],
    ['PRETTY_NAME=\'SUSE "x"\'', 'SUSE "x"'],
    ['PRETTY_NAME="a \\"quoted\\" \\$name"', 'a "quoted" $name'],
  ])('take %s as os-release(5) means it', (line, name) => {
    expect(
      parseFacts(
        'h',
        printed.replace(/PRETTY_NAME=.*/, () => line),
        0,
      ).osName,
    ).toBe(name);
  });

  it('know a clock without fractions, as busybox prints it', () => {
    const facts = parseFacts('h', printed.replace('1700000000.250000000', '1700000000.%N'), 1_700_000_001_000);
    expect(facts.clockSkewMs).toBe(-1000);
  });

  it('that are cut or damaged are an error that names the host and the fact', () => {
    for (const [text, fact] of [
      [printed.replace('end=1\n', ''), 'end'],
      [printed.replace('1000 4096', ''), 'disk'],
      [printed.replace('cpus=4', 'cpus=four'), 'cpus'],
      ['', 'hostname'],
    ] as const) {
      expect(() => parseFacts('10.0.0.1', text, 0)).toThrow(new RegExp(`host 10\\.0\\.0\\.1.*${fact}|${fact}`));
    }
  });

  it('are asked for with names that cannot break out of the script', () => {
    expect(factsScript({ diskPath: "/a'; reboot", programs: ['$(reboot)'] })).toContain(`path='/a'\\''; reboot'`);
    expect(factsScript({ programs: ['$(reboot)'] })).toContain("for program in '$(reboot)'; do");
  });
});

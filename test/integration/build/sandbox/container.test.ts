import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { SandboxMount } from '../../../../src/build/sandbox/sandbox-request.js';
import { createFixture, type Fixture } from './fixture.js';
import { REFUSALS, SYSTEM_CALLS } from './system-calls.js';

let fixture: Fixture;
let brokenRunc = '';

beforeEach(() => {
  fixture = createFixture('container');
  fixture.addBusybox();
});
afterEach(() => {
  vi.unstubAllEnvs();
  fixture.remove();
});

const inRootfs = (path: string): string => join(fixture.rootfs, path);

/** The machine's programs and libraries, read-only: Perl can make any system call. */
const MACHINE_PROGRAMS: readonly SandboxMount[] = ['/usr', '/lib', '/lib64']
  .filter((path) => existsSync(path))
  .map((path) => ({ type: 'bind', source: path, target: path, readonly: true }));

/** Both engines shall keep the same promises. A runc that fails before it starts anything makes way for bwrap. */
const engines = [
  { engine: 'runc', prepare: () => undefined },
  {
    engine: 'bwrap',
    prepare: () => {
      brokenRunc = join(fixture.home, 'broken');
      mkdirSync(brokenRunc);
      writeFileSync(join(brokenRunc, 'runc'), '#!/bin/sh\necho "runc: this kernel is too old" >&2\nexit 1\n', {
        mode: 0o755,
      });
      vi.stubEnv('PATH', `${brokenRunc}:${process.env.PATH}`);
    },
  },
] as const;

describe.each(engines)('a container mode command under $engine', ({ engine, prepare }) => {
  beforeEach(prepare);

  it('has the rootfs as its root', async () => {
    const ran = await fixture.run(
      'pwd; hostname; echo x >new; cat /etc/hosts | grep -c slipway; echo $A $HOME; exit 7',
      {
        env: { A: 'b c' },
        cwd: '/srv',
      },
    );
    expect(ran).toMatchObject({ engine, code: 7, stdout: '/srv\nslipway\n1\nb c /\n' });
    expect(readFileSync(inRootfs('srv/new'), 'utf8')).toBe('x\n');
    expect(readdirSync(fixture.rootfs).sort()).toEqual(['bin', 'srv']);
    expect(readdirSync(fixture.scratch)).toEqual([]);
  });

  it('has the environment that it is given and none of the machine', async () => {
    vi.stubEnv('SLIPWAY_TEST_LEAK', 'x');
    const { stdout } = await fixture.run(['/bin/env'], { env: { GREETING: 'a b' } });
    const names = stdout.match(/^[A-Za-z_]+(?==)/gm)?.filter((name) => !/^(PWD|SHLVL)$|_proxy$/i.test(name));
    expect(names?.sort()).toEqual(['GREETING', 'HOME', 'PATH']);
  });

  it('reads standard input and writes to /dev/stderr', async () => {
    const { stdout, stderr } = await fixture.run('cat; echo err >/dev/stderr', { stdin: Buffer.from('in') });
    expect({ stdout, stderr: stderr.replace(/^runc: .*\n/, '') }).toEqual({ stdout: 'in', stderr: 'err\n' });
  });

  it('gets 127 for a program that is not there, and 137 for one that was killed', async () => {
    expect((await fixture.run(['/no/such'])).code).toBe(127);
    expect((await fixture.run(['no-such'])).code).toBe(127);
    expect((await fixture.run('sleep 60 & kill -9 $!; wait $!')).code).toBe(137);
  });

  it('changes nothing when it changes nothing', async () => {
    mkdirSync(inRootfs('etc'));
    execFileSync('touch', ['-d', '2001-02-03 04:05:06', inRootfs('etc'), fixture.rootfs]);
    const before = listing();
    const { code } = await fixture.run('true', {
      network: 'host',
      mounts: [
        { type: 'secret', content: Buffer.from('hush'), target: '/run/secrets/token' },
        { type: 'tmpfs', target: 'build/cache' },
        { type: 'bind', source: fixture.home, target: '/mnt/x', readonly: true },
      ],
    });
    expect(code).toBe(0);
    expect(listing()).toBe(before);
  });

  it('keeps the files of the image that something is mounted over', async () => {
    mkdirSync(inRootfs('etc'));
    writeFileSync(inRootfs('etc/resolv.conf'), 'of the image');
    const { stdout } = await fixture.run('cat /etc/resolv.conf; rm /etc/resolv.conf 2>/dev/null || echo kept', {
      network: 'host',
    });
    expect(stdout).toBe(`${readFileSync('/etc/resolv.conf', 'utf8')}kept\n`);
    expect(readFileSync(inRootfs('etc/resolv.conf'), 'utf8')).toBe('of the image');
  });

  it('finds /etc/resolv.conf where the image has linked it, but never outside the rootfs', async () => {
    mkdirSync(inRootfs('etc'));
    const outside = join(fixture.home, 'outside');
    mkdirSync(outside);
    writeFileSync(join(outside, 'resolv.conf'), '');
    symlinkSync('../run/net/resolv.conf', inRootfs('etc/resolv.conf'));
    symlinkSync(join(outside, 'resolv.conf'), inRootfs('etc/hosts'));
    const { stdout } = await fixture.run('cat /etc/resolv.conf', { network: 'host' });
    expect(stdout).toBe(readFileSync('/etc/resolv.conf', 'utf8'));
    expect(readFileSync(join(outside, 'resolv.conf'), 'utf8')).toBe('');
    expect(readlinkSync(inRootfs('etc/hosts'))).toBe(join(outside, 'resolv.conf'));
    expect(readdirSync(fixture.rootfs).sort()).toEqual(['bin', 'etc']);
  });

  it('does not have its mount points removed from elsewhere by a link (CVE-2024-23652)', async () => {
    const outside = join(fixture.home, 'outside/secrets');
    mkdirSync(outside, { recursive: true });
    writeFileSync(join(outside, 'token'), '');
    const swap = `mv /run /moved && ln -s ${join(fixture.home, 'outside')} /run && echo swapped`;
    const { stdout } = await fixture.run(swap, {
      mounts: [{ type: 'secret', content: Buffer.from('hush'), target: '/run/secrets/token' }],
    });
    expect(stdout).toBe('swapped\n');
    expect(existsSync(join(outside, 'token'))).toBe(true);
  });

  it('does not work in a directory of the kernel (CVE-2024-21626)', async () => {
    symlinkSync('/proc/self/fd/7', inRootfs('link'));
    for (const cwd of ['/proc/self/fd/7', '/dev/fd/8', '/link', '/sys'])
      await expect(fixture.run('true', { cwd })).rejects.toMatchObject({ code: 'E_MOUNT' });
  });

  it('finds no descriptor that leads outside', async () => {
    const { stdout } = await fixture.run('for fd in /proc/self/fd/* /proc/1/fd/*; do readlink $fd; done; true');
    const outside = stdout
      .split('\n')
      .filter((target) => target !== '' && !target.startsWith(`${fixture.scratch}/run-`))
      .filter((target) => !/^(anon_inode:\[eventfd\]|\/proc\/.*|pipe:.*)$/.test(target));
    expect(outside).toEqual([]);
  });

  it('is refused when /proc is a link', async () => {
    symlinkSync('/etc', inRootfs('proc'));
    await expect(fixture.run('true')).rejects.toMatchObject({ code: 'E_MOUNT' });
  });

  it('sees a secret as 0400 and leaves nothing of it', async () => {
    const { stdout } = await fixture.run('stat -c "%a %u" /run/secrets/token; cat /run/secrets/token', {
      mounts: [{ type: 'secret', content: Buffer.from('hush'), target: '/run/secrets/token' }],
    });
    expect(stdout).toBe('400 0\nhush');
    expect(readdirSync(fixture.rootfs)).toEqual(['bin']);
  });

  it('has its mounts', async () => {
    const source = join(fixture.home, 'source');
    mkdirSync(source);
    const { stdout } = await fixture.run(
      'touch /ro/x 2>/dev/null || echo read-only; echo kept >rw/x; touch /mem/x && grep -c " /mem tmpfs" /proc/mounts; stat -c %a /mem',
      {
        cwd: '/work',
        mounts: [
          { type: 'bind', source, target: '/ro', readonly: true },
          { type: 'bind', source, target: 'rw', readonly: false },
          { type: 'tmpfs', target: '/mem', sizeBytes: 1 << 20 },
        ],
      },
    );
    expect(stdout).toBe('read-only\n1\n1777\n');
    expect(readdirSync(source)).toEqual(['x']);
    expect(readdirSync(fixture.rootfs).sort()).toEqual(['bin', 'work']);
    expect(readdirSync(inRootfs('work'))).toEqual([]);
    for (const target of ['/', '/proc', '/dev', '../..'])
      await expect(fixture.run('true', { mounts: [{ type: 'tmpfs', target }] })).rejects.toMatchObject({
        code: 'E_MOUNT',
      });
  });

  it("has Docker's capabilities without device nodes and packets", async () => {
    const effective = async (network: 'host' | 'none') =>
      (await fixture.run('grep CapEff /proc/self/status', { network })).stdout.trim().split('\t')[1];
    // AUDIT_WRITE SETFCAP SYS_CHROOT NET_BIND_SERVICE SETPCAP SETUID SETGID KILL FSETID FOWNER DAC_OVERRIDE CHOWN
    expect(await effective('host')).toBe('00000000a00405fb');
    expect(await effective('none')).toBe('00000000a00425fb');
    expect((await fixture.run('mknod /dev/disk b 8 0 || mknod disk b 8 0')).code).not.toBe(0);
  });

  it('cannot write to what the kernel shows', async () => {
    const files = ['/proc/sys/kernel/core_pattern', '/proc/sys/vm/drop_caches', '/proc/irq/default_smp_affinity'];
    const { stdout } = await fixture.run(
      `for file in ${files.join(' ')} /sys/kernel/uevent_helper /sys/kernel/x; do (echo x >$file) 2>/dev/null && echo "wrote $file"; done
       mount -t tmpfs x /mnt 2>/dev/null && echo mounted
       for file in /proc/kcore /proc/keys /proc/timer_list; do cat $file 2>/dev/null | wc -c; done; ls /sys/firmware | wc -l`,
    );
    expect(stdout).toBe('0\n0\n0\n0\n');
  });

  it('has a loopback device only when the network is none', async () => {
    const { stdout } = await fixture.run(
      'cat /proc/net/dev | grep -c :; ip link | grep -o "UP,LOWER_UP"; ping -c1 -W2 127.0.0.1 | grep -c "1 packets received"',
    );
    expect(stdout).toBe('1\nUP,LOWER_UP\n1\n');
  });

  it('is refused what the seccomp profile denies', async () => {
    const { stdout } = await fixture.run(`unshare -U true; unshare -m true; perl -e '${SYSTEM_CALLS}'`, {
      mounts: MACHINE_PROGRAMS,
      env: { PATH: '/bin:/usr/bin' },
    });
    expect(stdout.trim().split('\n')).toEqual(REFUSALS);
  });
});

describe('a container mode command', () => {
  it('runs as a user of the rootfs', async () => {
    mkdirSync(inRootfs('etc'));
    mkdirSync(inRootfs('srv'));
    writeFileSync(inRootfs('etc/passwd'), 'root:x:0:0::/root:/bin/sh\nweb:x:33:34::/srv/web:/bin/sh\n');
    writeFileSync(inRootfs('etc/group'), 'media:x:50:web\n');
    chmodSync(inRootfs('srv'), 0o777);
    const { stdout } = await fixture.run('id; echo $HOME; echo err >/dev/stderr && touch /srv/mine', { user: 'web' });
    expect(stdout).toBe('uid=33(web) gid=34 groups=50(media)\n/srv/web\n');
    expect([statSync(inRootfs('srv/mine')).uid, statSync(inRootfs('srv/mine')).gid]).toEqual([33, 34]);
    expect((await fixture.run('id -u; id -g; echo $HOME', { user: '1234:5678' })).stdout).toBe('1234\n5678\n/\n');
    await expect(fixture.run('true', { user: 'nobody' })).rejects.toMatchObject({ code: 'E_NOT_FOUND' });
  });

  it('may use setuid programs, up to the capabilities of the container', async () => {
    const mounts = MACHINE_PROGRAMS;
    await fixture.run('cp /usr/bin/id /suid && chmod 4755 /suid', { mounts });
    const { stdout } = await fixture.run('id -u; /suid -u', { mounts, user: '1234' });
    expect(stdout).toBe('1234\n0\n');
  });

  it('needs runc for another user', async () => {
    engines[1].prepare();
    await expect(fixture.run('true', { user: '33' })).rejects.toMatchObject({
      code: 'E_UNSUPPORTED',
      hint: expect.stringContaining('runc'),
    });
  });

  it('leaves no cgroup behind', async () => {
    await fixture.run('true');
    const groups = execFileSync('find', ['/sys/fs/cgroup', '-regex', '.*/slipway-[0-9a-f]*']).toString();
    expect(groups).toBe('');
  });

  it('changes only what it changes in an overlay', async () => {
    const layer = join(fixture.home, 'layer');
    const upper = join(fixture.home, 'upper');
    const work = join(fixture.home, 'work');
    for (const directory of [join(layer, 'etc'), upper, work]) mkdirSync(directory, { recursive: true });
    const rootfs = join(fixture.home, 'merged');
    mkdirSync(rootfs);
    const options = `lowerdir=${layer}:${fixture.rootfs},upperdir=${upper},workdir=${work},redirect_dir=off,metacopy=off,index=off`;
    execFileSync('mount', ['-t', 'overlay', 'overlay', '-o', options, rootfs]);
    try {
      const { code } = await fixture.run('mkdir -p /opt && echo x >/opt/new && rm /bin/su', { rootfs });
      expect(code).toBe(0);
    } finally {
      execFileSync('umount', [rootfs]);
    }
    const changed = execFileSync('find', ['.', '!', '-type', 'd'], { cwd: upper }).toString().trim().split('\n');
    expect(changed.sort()).toEqual(['./bin/su', './opt/new']);
    expect(lstatSync(join(upper, 'bin/su')).isCharacterDevice()).toBe(true);
    expect(readdirSync(upper).sort()).toEqual(['bin', 'etc', 'opt']);
    rmSync(work, { recursive: true });
  });
});

/** Names, types, modes, times and link targets of the rootfs. */
function listing(): string {
  return execFileSync('find', ['.', '-printf', '%P %y %m %U %G %s %TY%Tm%Td%TH%TM%TS %l\\n'], {
    cwd: fixture.rootfs,
  }).toString();
}

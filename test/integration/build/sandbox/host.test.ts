import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createFixture, type Fixture } from './fixture.js';
import { REFUSALS, SYSTEM_CALLS } from './system-calls.js';

let fixture: Fixture;
beforeEach(() => {
  fixture = createFixture('host');
});
afterEach(() => fixture.remove());

const inRootfs = (path: string): string => join(fixture.rootfs, path);

describe('a host mode command', () => {
  it("works in the rootfs with the machine's tools", async () => {
    mkdirSync(inRootfs('bin'));
    writeFileSync(inRootfs('bin/own-tool'), '#!/bin/sh\necho "own $1"\n', { mode: 0o755 });
    const { code, stdout, engine } = await fixture.run(
      'echo hello | sha256sum >sum; mkdir -p etc && echo x >etc/x; pwd; own-tool $A; exit 3',
      { env: { A: 'b' } },
    );
    expect({ code, stdout, engine }).toEqual({ code: 3, stdout: '/rootfs\nown b\n', engine: 'bwrap' });
    expect(readFileSync(inRootfs('sum'), 'utf8')).toMatch(
      /^5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03/,
    );
    expect(readdirSync(fixture.rootfs).sort()).toEqual(['bin', 'etc', 'sum']);
    expect(readdirSync(fixture.scratch)).toEqual([]);
  });

  it('has an environment of PATH, HOME and what it is given', async () => {
    const { stdout } = await fixture.run(['/usr/bin/env'], { env: { GREETING: 'a b\n"c"', PATH: '/usr/bin' } });
    const names = stdout.match(/^[A-Za-z_]+(?==)/gm);
    expect(names?.sort()).toEqual(['GREETING', 'HOME', 'PATH', 'PWD']);
    expect(stdout).toContain('GREETING=a b\n"c"\n');
    expect(stdout).toContain('PATH=/usr/bin:/rootfs/bin\n');
  });

  it('reads its standard input', async () => {
    const script = 'read first; echo "got $first"; cat';
    const { stdout } = await fixture.run(script, { stdin: Buffer.from('one\ntwo\n') });
    expect(stdout).toBe('got one\ntwo\n');
    expect((await fixture.run('cat; cat /dev/stdin', { stdin: Buffer.from('again') })).stdout).toBe('againagain');
    expect((await fixture.run('cat')).stdout).toBe('');
  });

  it('can write to /dev/stdout and /dev/stderr, also as another user', async () => {
    const { stdout, stderr, code } = await fixture.run('id -u; echo out >/dev/stdout; echo err >/dev/stderr', {
      user: '12345:6789',
    });
    expect({ code, stdout, stderr }).toEqual({ code: 0, stdout: '12345\nout\n', stderr: 'err\n' });
  });

  it('works in a subdirectory, which is made, and never outside through a link', async () => {
    expect((await fixture.run('pwd; touch made', { cwd: '/srv/app' })).stdout).toBe('/rootfs/srv/app\n');
    expect(existsSync(inRootfs('srv/app/made'))).toBe(true);
    symlinkSync('/usr', inRootfs('link'));
    expect((await fixture.run('pwd', { cwd: '/link/share' })).stdout).toBe('/rootfs/usr/share\n');
  });

  it('gets the exit code of a signal and of a program that is not there', async () => {
    expect((await fixture.run('kill -TERM $$')).code).toBe(143);
    expect(await fixture.run(['/no/such/program'])).toMatchObject({
      code: 127,
      stderr: expect.stringContaining('/no/such/program'),
    });
    writeFileSync(inRootfs('data'), 'x');
    expect((await fixture.run(['/rootfs/data'])).code).toBe(126);
  });

  it('finds its private directories empty, writable and gone afterwards', async () => {
    const { stdout, code } = await fixture.run(
      'ls -A /tmp /var/tmp /root /home; touch /tmp/a /var/tmp/a $HOME/a /run/a /run/lock/a && echo $HOME; stat -c %a /tmp',
    );
    expect({ stdout, code }).toEqual({
      stdout: '/home:\n\n/root:\n\n/tmp:\n\n/var/tmp:\n/root\n1777\n',
      code: 0,
    });
    expect((await fixture.run('cat /tmp/a || cat /var/tmp/a || cat $HOME/a || cat /run/a')).code).toBe(1);
  });

  it('runs as a user of the machine', async () => {
    const { stdout } = await fixture.run(
      'id -un; id -u; grep CapEff /proc/self/status; touch $HOME/x && touch denied',
      {
        user: 'nobody',
      },
    );
    expect(stdout).toBe('nobody\n65534\nCapEff:\t0000000000000000\n');
    expect(existsSync(inRootfs('denied'))).toBe(false);
  });
});

describe('a host mode command cannot', () => {
  it('write outside the rootfs', async () => {
    const places = ['/usr', '/etc', '/var/lib', '/', '/rootfs/..', '/boot', '/sys/fs/cgroup', '/sys/kernel', '/proc'];
    const { stdout } = await fixture.run(
      `for place in ${places.join(' ')}; do touch $place/slipway-was-here 2>/dev/null && echo "wrote $place"; done
       for file in /etc/hostname /proc/sys/kernel/core_pattern /proc/sys/kernel/hostname /proc/self/oom_score_adj; do
         (echo x >$file) 2>&1 | grep -q 'Read-only file system' || echo "not read-only: $file"
       done; true`,
    );
    expect(stdout).toBe('');
  });

  it("reach the store's other directories, though the store is in /tmp", async () => {
    mkdirSync(join(fixture.home, 'other-build'));
    const { stdout } = await fixture.run(
      `ls -d ${fixture.home} ${fixture.scratch}; touch ../other-build/x ${fixture.home}/x; ls ..; ls -d /tmp/slipway-run-*`,
    );
    expect(stdout.split('\n')).toContain('rootfs');
    expect(stdout).not.toContain(fixture.home);
    expect(stdout).not.toContain('other-build');
    expect(readdirSync(join(fixture.home, 'other-build'))).toEqual([]);
  });

  it('see a directory that is to be hidden', async () => {
    const directory = mkdtempSync('/var/cache/slipway-hide-');
    chmodSync(directory, 0o755);
    try {
      writeFileSync(join(directory, 'secret'), 'x');
      expect((await fixture.run(`ls ${directory}`)).stdout).toBe('secret\n');
      const { stdout, code } = await fixture.run(`ls ${directory}; touch ${directory}/x`, { hide: [directory] });
      expect({ stdout, code }).toEqual({ stdout: '', code: 1 });
    } finally {
      rmSync(directory, { recursive: true });
    }
  });

  it('read what the machine keeps from others', async () => {
    const { stdout } = await fixture.run(
      'wc -c </etc/passwd; cat /etc/shadow /etc/gshadow /etc/ssh/ssh_host_*key 2>/dev/null | wc -c; ls -A /etc/ssl/private | wc -l',
    );
    const [passwd, secrets, keys] = stdout.trim().split('\n').map(Number);
    expect(passwd).toBeGreaterThan(0);
    expect(statSync('/etc/shadow').size).toBeGreaterThan(0);
    expect([secrets, keys]).toEqual([0, 0]);
  });

  it("change the machine's device nodes", async () => {
    const before = statSync('/dev/null').mode;
    const { code } = await fixture.run(
      'chmod 600 /dev/null /dev/zero; chmod 600 /proc/self/fd/0; touch -t 200001010000 /dev/null',
    );
    expect(code).toBe(0);
    expect(statSync('/dev/null').mode).toBe(before);
    expect(statSync('/dev/zero').mode & 0o777).toBe(0o666);
    expect((await fixture.run('mknod disk b 8 0 || mknod kmsg c 1 11 || mknod /dev/x c 1 1')).stderr).toMatch(
      /Operation not permitted/,
    );
  });

  it('mount, unmount or make namespaces', async () => {
    const { stdout } = await fixture.run(`
      mount -t tmpfs x . 2>/dev/null && echo mounted
      mount -o remount,rw /usr 2>/dev/null && echo remounted
      umount /tmp 2>/dev/null && echo unmounted
      unshare --user true 2>/dev/null && echo unshared
      unshare --mount true 2>/dev/null && echo unshared
      nsenter --mount=/proc/1/ns/mnt true 2>/dev/null && echo entered
      true`);
    expect(stdout).toBe('');
  });

  it('make the system calls that the seccomp profile denies', async () => {
    const { stdout } = await fixture.run(`perl -e '${SYSTEM_CALLS}'`);
    expect(stdout.trim().split('\n')).toEqual(REFUSALS);
  });

  it('see or touch processes outside', async () => {
    const { stdout } = await fixture.run(
      `ls /proc | grep -c '^[0-9]'; kill -0 ${process.pid} 2>/dev/null && echo seen; true`,
    );
    expect(Number(stdout.trim())).toBeLessThan(10);
  });

  it('gain rights by a setuid program', async () => {
    const { stdout } = await fixture.run(
      `cp /usr/bin/id suid && chmod 4755 suid && grep NoNewPrivs /proc/self/status
       setpriv --reuid=1234 --regid=1234 --clear-groups ./suid -u`,
    );
    expect(stdout).toBe('NoNewPrivs:\t1\n1234\n');
    expect(statSync(inRootfs('suid')).mode & 0o7777).toBe(0o4755);
  });

  it('use more capabilities than work on files needs', async () => {
    const { stdout } = await fixture.run('grep -E "Cap(Prm|Eff)" /proc/self/status');
    // CHOWN DAC_OVERRIDE FOWNER FSETID KILL SETGID SETUID SYS_CHROOT SETFCAP
    expect(stdout).toBe('CapPrm:\t00000000800400fb\nCapEff:\t00000000800400fb\n');
    const { code } = await fixture.run(
      'echo x >f && chown 1234:5678 f && chmod 6711 f && chmod 0 f && cat f && rm f && setcap cap_net_raw+ep /dev/null; true',
    );
    expect(code).toBe(0);
  });

  it('find a descriptor that leads outside', async () => {
    const { stdout } = await fixture.run('for fd in /proc/self/fd/* /proc/1/fd/*; do readlink $fd; done; true');
    const outside = stdout
      .split('\n')
      .filter((target) => target !== '' && !target.startsWith(`${fixture.scratch}/run-`))
      .filter((target) => !/^(anon_inode:\[eventfd\]|\/proc\/.*|pipe:.*)$/.test(target));
    expect(outside).toEqual([]);
  });

  it("connect to a service's socket", async () => {
    const directory = mkdtempSync('/var/cache/slipway-socket-');
    chmodSync(directory, 0o755);
    const socket = join(directory, 'engine.sock');
    const server = createServer((connection) => connection.end('in'));
    await new Promise<void>((resolve) => server.listen(socket, resolve));
    const connect = `perl -MSocket -e 'socket(S, PF_UNIX, SOCK_STREAM, 0); connect(S, sockaddr_un("${socket}")) ? print "connected" : print $!'`;
    try {
      expect(lstatSync(socket).isSocket()).toBe(true);
      expect((await fixture.run(connect)).stdout).toMatch(/refused|Permission denied/);
    } finally {
      await closeServer(server);
      rmSync(directory, { recursive: true });
    }
  });
});

describe('the network of a host mode command', () => {
  it('none is a loopback device only', async () => {
    const { stdout } = await fixture.run('cat /proc/net/dev', { network: 'none' });
    expect(stdout.match(/^ *\S+(?=:)/gm)?.map((name) => name.trim())).toEqual(['lo']);
  });

  it('host is the machine, names included', async () => {
    const server = createServer((connection) => connection.end('hello'));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const address = server.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    const ask = `perl -MIO::Socket::INET -e 'my $s = IO::Socket::INET->new("127.0.0.1:${port}") or die "no\\n"; print <$s>'`;
    try {
      expect((await fixture.run(ask, { network: 'host' })).stdout).toBe('hello');
      expect((await fixture.run(ask, { network: 'none' })).stderr).toBe('no\n');
    } finally {
      await closeServer(server);
    }
    expect((await fixture.run('cat /etc/resolv.conf', { network: 'host' })).stdout).toBe(
      readFileSync('/etc/resolv.conf', 'utf8'),
    );
  });
});

describe('mounts of a host mode command', () => {
  it('go to its own directories and into the rootfs, and leave nothing', async () => {
    const source = join(fixture.home, 'source');
    const cache = join(fixture.home, 'cache');
    for (const directory of [source, cache]) mkdirSync(directory);
    writeFileSync(join(source, 'a'), 'from source');
    const { stdout, code } = await fixture.run(
      'cat in/a; touch in/b 2>/dev/null; echo kept >/root/.cache/tool/x; echo kept >/cache/y; echo z >../scratch/z; ls',
      {
        cwd: '/work',
        mounts: [
          { type: 'bind', source, target: 'in', readonly: true },
          { type: 'bind', source: cache, target: '/root/.cache/tool', readonly: false },
          { type: 'bind', source: cache, target: '/cache', readonly: false },
          { type: 'tmpfs', target: '/rootfs/scratch', sizeBytes: 65536 },
        ],
      },
    );
    expect({ stdout, code }).toEqual({ stdout: 'from sourcein\n', code: 0 });
    expect(readdirSync(source)).toEqual(['a']);
    expect(readdirSync(cache).sort()).toEqual(['x', 'y']);
    expect(readdirSync(fixture.rootfs)).toEqual(['work']);
    expect(readdirSync(inRootfs('work'))).toEqual([]);
  });

  it('do not leave the sandbox through a link in a mount that they lie in', async () => {
    const cache = join(fixture.home, 'cache');
    mkdirSync(cache);
    symlinkSync('/oldroot', join(cache, 'link'));
    symlinkSync('..', join(cache, 'up'));
    for (const path of [`link${fixture.home}/made`, 'up/made'])
      await expect(
        fixture.run('true', {
          mounts: [
            { type: 'bind', source: cache, target: 'c', readonly: false },
            { type: 'tmpfs', target: `c/${path}` },
          ],
        }),
      ).rejects.toMatchObject({ code: 'E_MOUNT' });
    const { stdout } = await fixture.run('touch c/a/b/f; ls -A c c/a/b', {
      mounts: [
        { type: 'bind', source: cache, target: 'c', readonly: false },
        { type: 'tmpfs', target: 'c/a/b' },
      ],
    });
    expect(stdout).toBe('c:\na\nlink\nup\n\nc/a/b:\nf\n');
    expect(readdirSync(cache).sort()).toEqual(['link', 'up']);
    expect(existsSync(join(fixture.home, 'made'))).toBe(false);
  });

  it('cannot be where the machine has nothing', async () => {
    const source = fixture.home;
    const bind = (target: string) =>
      fixture.run('true', { mounts: [{ type: 'bind', source, target, readonly: true }] });
    await expect(bind('/usr/no/such/place')).rejects.toMatchObject({
      code: 'E_MOUNT',
      hint: expect.stringContaining('/run'),
    });
    for (const target of ['/', '/proc', '/rootfs', '/etc/passwd'])
      await expect(bind(target)).rejects.toMatchObject({ code: 'E_MOUNT' });
    await expect(
      fixture.run('true', { mounts: [{ type: 'bind', source: '/no/such', target: '/x', readonly: true }] }),
    ).rejects.toMatchObject({ code: 'E_NOT_FOUND' });
    expect((await fixture.run('ls /var/run/x', { mounts: [{ type: 'tmpfs', target: '/var/run/x' }] })).code).toBe(0);
  });

  it('show a secret to its owner only, and nowhere else', async () => {
    const content = Buffer.from('hush');
    const { stdout } = await fixture.run(
      `stat -c '%a %u %s' /run/secrets/token secret; cat /run/secrets/token
       echo x >>/run/secrets/token || chmod 644 secret || echo ' kept'
       setpriv --reuid=1234 --clear-groups cat /run/secrets/token || echo ' closed'`,
      {
        mounts: [
          { type: 'secret', content, target: '/run/secrets/token' },
          { type: 'secret', content, target: 'secret', mode: 0o440, uid: 7 },
        ],
      },
    );
    expect(stdout).toBe('400 0 4\n440 7 4\nhush kept\n closed\n');
    expect(readdirSync(fixture.rootfs)).toEqual([]);
  });
});

async function closeServer(server: Server): Promise<void> {
  await new Promise<void>((resolve) => {
    server.close(() => resolve());
  });
}

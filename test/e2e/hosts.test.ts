import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { connectBastion, connectHost } from '../../src/hosts/connect.js';
import type { Host } from '../../src/hosts/host.js';
import { onHosts } from '../../src/hosts/host-group.js';
import type { SshSettings } from '../../src/hosts/ssh-connection.js';
import { type LabHost, labAvailable, startLabHost, stopLabHosts } from '../lab/lab.js';
import { until } from '../support/until.js';

const lab = labAvailable();
if (!lab.ok) console.warn(`hosts: left out: ${lab.why}`);

const scratch = mkdtempSync(join(tmpdir(), 'slipway-e2e-hosts-'));
const opened: { close(): Promise<void> }[] = [];
let a: LabHost;
let b: LabHost;

/** A connection of its own to a lab host; closed at the end. */
function over(host: LabHost, ssh: SshSettings = {}, sudoPassword?: string): Host {
  const connected = connectHost(host.ip, {
    ssh: { keyFile: 'password' in ssh ? undefined : host.keyFile, agent: false, hostKeys: { mode: 'off' }, ...ssh },
    sudoPassword,
  });
  opened.push(connected);
  return connected;
}

async function runs(host: LabHost, words: string): Promise<boolean> {
  return (await host.run('ps -eo args')).includes(words);
}

describe.skipIf(!lab.ok)('hosts of the lab', () => {
  beforeAll(async () => {
    a = await startLabHost('hosts-a', '10.99.0.20');
    b = await startLabHost('hosts-b', '10.99.0.21');
    await a.run(`
      for user in asks free none; do useradd --create-home --shell /bin/bash $user; echo "$user:login of $user" | chpasswd; done
      echo 'asks ALL=(ALL) ALL' >/etc/sudoers.d/asks
      echo 'free ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/free
      for user in asks free none; do
        install -d -o $user /home/$user/.ssh; install -o $user /root/.ssh/authorized_keys /home/$user/.ssh/
      done
    `);
  });

  afterAll(async () => {
    for (const connection of opened) await connection.close();
    await stopLabHosts();
    rmSync(scratch, { recursive: true, force: true });
  });

  it('lets root in with key and with password, and tells facts', async () => {
    expect((await over(a).run('hostname')).stdout).toBe('hosts-a\n');
    const [first, second] = await onHosts([over(a, { password: 'secret' }), over(b, { password: 'secret' })], (host) =>
      host.facts({ programs: ['systemctl', 'kubeadm'] }),
    );
    expect(first).toMatchObject({ hostname: 'hosts-a', systemd: true, uid: 0, programs: ['systemctl'] });
    expect(first?.osName).toMatch(/^Debian GNU\/Linux 12/);
    expect(first?.listeningPorts).toEqual([22]);
    expect(first?.machineId).toMatch(/^[0-9a-f]{32}$/);
    expect(first?.machineId).not.toBe(second?.machineId);
    expect(Math.abs(first?.clockSkewMs ?? Number.NaN)).toBeLessThan(2000);
  });

  it('answers keyboard-interactive with the password', async () => {
    await b.run(
      'printf "PasswordAuthentication no\nKbdInteractiveAuthentication yes\n" >/etc/ssh/sshd_config.d/k.conf; systemctl restart ssh',
    );
    try {
      expect((await over(b, { password: 'secret' }).run('hostname')).stdout).toBe('hosts-b\n');
      await expect(over(b, { password: 'wrong one' }).run('true')).rejects.toMatchObject({ code: 'E_HOST_AUTH' });
    } finally {
      await b.run('rm /etc/ssh/sshd_config.d/k.conf; systemctl restart ssh');
    }
  });

  it('refuses a wrong password with one guess, and keeps it out of the error', async () => {
    const before = await failedGuesses();
    const failure = await over(a, { password: 'hunter2-wrong' })
      .run('true')
      .catch((error: unknown) => error);
    expect(failure).toMatchObject({
      code: 'E_HOST_AUTH',
      message: expect.stringContaining('tried password; the host allows'),
    });
    expect(String(failure)).not.toContain('hunter2-wrong');
    expect((await failedGuesses()) - before).toBe(1);
  });

  async function failedGuesses(): Promise<number> {
    return (await a.run('journalctl -u ssh --no-pager -o cat')).split('Failed password').length - 1;
  }

  it('becomes root through sudo, with a password that nothing on the host can see', async () => {
    for (const host of [
      over(a, { user: 'free' }),
      over(a, { user: 'asks' }, 'login of asks'),
      over(a, { user: 'asks', password: 'login of asks' }),
    ]) {
      const { stdout } = await host.run('id -u; echo $HOME; cat; ps -eo args; tr "\\0" " " </proc/$$/environ', {
        stdin: 'input\n',
      });
      expect(stdout.split('\n').slice(0, 3)).toEqual(['0', '/root', 'input']);
      expect(stdout).not.toContain('login of');
      await host.writeFile('/etc/slipway-test', 'x', { mode: 0o640 });
      expect((await host.run('stat -c "%U %a" /etc/slipway-test')).stdout).toBe('root 640\n');
      expect((await host.facts()).uid).toBe(0);
    }
    // given though sudo does not ask for it: it must not become the script's input
    const { stdout } = await over(a, { user: 'free' }, 'not wanted').run('cat', { stdin: 'input\n' });
    expect(stdout).toBe('input\n');
  });

  it('says so when sudo refuses', async () => {
    await expect(over(a, { user: 'asks' }, 'wrong password').run('true')).rejects.toMatchObject({
      code: 'E_HOST_AUTH',
      message: expect.stringContaining('the sudo password is wrong'),
    });
    await expect(over(a, { user: 'asks' }).run('true')).rejects.toMatchObject({
      code: 'E_HOST_AUTH',
      message: expect.stringContaining('none was given'),
    });
    await expect(over(a, { user: 'none' }, 'login of none').run('true')).rejects.toMatchObject({
      code: 'E_HOST_AUTH',
      message: expect.stringContaining('not in the sudoers file'),
    });
  });

  it.each(['root', 'free', 'asks'])('ends a command of %s that hangs, with everything it started', async (user) => {
    const host = over(a, { user }, user === 'asks' ? 'login of asks' : undefined);
    const number = Math.floor(1e6 + Math.random() * 1e6);
    const script = `sleep ${number} & timeout 99999 sleep ${number}1; sleep ${number}2`;
    await expect(host.run(script, { timeoutMs: 1500, title: 'hang' })).rejects.toMatchObject({
      code: 'E_TIMEOUT',
      message: expect.stringContaining(`host ${a.ip}: hang did not end within 1.5s`),
    });
    await until(async () => !(await runs(a, `sleep ${number}`)));
  });

  it('leaves what made itself a service alone', async () => {
    const host = over(a);
    await expect(
      host.run('systemd-run --quiet --unit=slipway-stays sleep 1000; sleep 1000', { timeoutMs: 1500 }),
    ).rejects.toMatchObject({ code: 'E_TIMEOUT' });
    expect(await a.run('systemctl is-active slipway-stays; systemctl stop slipway-stays')).toBe('active\n');
  });

  it('trusts a host once, and not with another key', async () => {
    const recordFile = join(scratch, 'known_hosts');
    const hostKeys = { recordFile, readFiles: [] };
    expect((await over(b, { hostKeys }).run('echo ok')).stdout).toBe('ok\n');
    const recorded = execFileSync('ssh-keygen', ['-lf', recordFile]).toString().split(' ')[1] ?? '';
    await b.run('rm /etc/ssh/ssh_host_*; ssh-keygen -A; systemctl restart ssh');
    const shown = (await b.run('ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub')).split(' ')[1] ?? '';
    await expect(over(b, { hostKeys, password: 'secret' }).run('true')).rejects.toMatchObject({
      code: 'E_HOST_KEY',
      message: expect.stringMatching(new RegExp(`${literal(shown)}.*known_hosts:1 .*${literal(recorded)}`)),
    });
    expect(readFileSync(recordFile, 'utf8').trim().split('\n')).toHaveLength(1);
  });

  function literal(text: string): string {
    return text.replace(/[+/]/g, '\\$&');
  }

  it('does not wait longer than asked for an address where nobody is', async () => {
    const nobody: LabHost = { ...b, ip: '10.99.0.250' };
    await expect(over(nobody, { connectTimeoutMs: 1000 }).run('true')).rejects.toMatchObject({
      code: 'E_HOST_UNREACHABLE',
      message: expect.stringContaining('host 10.99.0.250: cannot be reached over SSH'),
    });
    const outcome = await onHosts([over(b), over(nobody, { connectTimeoutMs: 1000 })], (host) =>
      host.run('true'),
    ).catch((error: unknown) => error);
    expect(outcome).toMatchObject({ code: 'E_HOST_UNREACHABLE' });
  }, 30_000);

  it('goes through a bastion', async () => {
    const bastion = await connectBastion(a.ip, { keyFile: a.keyFile, agent: false, hostKeys: { mode: 'off' } });
    opened.push(bastion);
    const { stdout } = await over(b, { via: bastion }).run('cat /proc/net/tcp');
    const hex = a.ip
      .split('.')
      .reverse()
      .map((part) => Number(part).toString(16).padStart(2, '0').toUpperCase())
      .join('');
    expect(stdout).toContain(`${hex}:`);
  });

  it('finds out when the cable is pulled in the middle of a copy; the host ends the copy by itself', async () => {
    const others = await a.run('ls -d /run/slipway.* || true');
    const host = over(a, { keepAliveMs: 1000 });
    const directories = (await host.run('ls -d /run/slipway.*')).stdout.trim().split('\n');
    const directory = directories.find((path) => !others.includes(path)) ?? '';
    expect(directory).not.toBe('');
    const noise = randomBytes(1 << 16);
    const endless = new Readable({
      read() {
        this.push(noise);
      },
    });
    const copy = host.run('cat >/root/half; : complete', { stdin: endless, title: 'copy the rootfs', timeoutMs: 0 });
    const outcome = expect(copy).rejects.toMatchObject({
      code: 'E_HOST_UNREACHABLE',
      message: expect.stringMatching(
        new RegExp(`^host ${a.ip}: the connection was lost.*while running copy the rootfs`),
      ),
    });
    await until(async () => Number(await a.run('stat -c %s /root/half 2>/dev/null || echo 0')) > 1_000_000);
    await a.cable('down');
    try {
      await outcome;
      expect(endless.destroyed).toBe(true);
      // no packet reaches the host, so its sshd knows nothing: the keeper's patience ends it
      expect(await runs(a, 'slipway-begin')).toBe(true);
      await until(async () => !(await runs(a, 'slipway-begin')));
    } finally {
      await a.cable('up');
    }
    expect(await a.run(`ls -d ${directory} 2>/dev/null || echo gone`)).toBe('gone\n');
    expect((await host.run('rm /root/half; echo back')).stdout).toBe('back\n');
  });

  it('survives the death of a host, and works with it again after it has booted', async () => {
    const host = over(b, { keepAliveMs: 1000 });
    const outcome = expect(host.run('sleep 1000', { title: 'wait' })).rejects.toMatchObject({
      code: 'E_HOST_UNREACHABLE',
    });
    await until(() => runs(b, 'sleep 1000'));
    await b.kill();
    await outcome;
    await expect(over(b, { connectTimeoutMs: 1000 }).run('true')).rejects.toMatchObject({ code: 'E_HOST_UNREACHABLE' });
    await b.boot();
    expect((await host.run('hostname')).stdout).toBe('hosts-b\n');
  });
});

import { execFileSync, spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { appendFileSync, existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { connectBastion, connectHost } from '../../../src/hosts/connect.js';
import type { Host } from '../../../src/hosts/host.js';
import { onHosts } from '../../../src/hosts/host-group.js';
import type { SshSettings } from '../../../src/hosts/ssh-connection.js';
import { until } from '../../support/until.js';
import { startProxy } from './proxy.js';
import { freePort, makeKey, type Sshd, startSshd } from './sshd.js';

const scratch = mkdtempSync(join(tmpdir(), 'slipway-ssh-'));
const cleanups: (() => unknown)[] = [];
let sshd: Sshd;

beforeAll(async () => {
  sshd = await startSshd({ hostKeys: ['ed25519', 'ecdsa', 'rsa'] });
});

afterAll(async () => {
  for (const cleanup of cleanups.reverse()) await cleanup();
  await sshd.stop();
  rmSync(scratch, { recursive: true, force: true });
});

/** A host on an sshd of ours; closed at the end. */
function hostOn(server: Pick<Sshd, 'port' | 'keyFile'>, ssh: Partial<SshSettings> = {}): Host {
  const host = connectHost('127.0.0.1', {
    ssh: { port: server.port, keyFile: server.keyFile, agent: false, hostKeys: { mode: 'off' }, ...ssh },
  });
  cleanups.push(() => host.close());
  return host;
}

async function started(options: Parameters<typeof startSshd>[0]): Promise<Sshd> {
  const server = await startSshd(options);
  cleanups.push(() => server.stop());
  return server;
}

const ok = { stdout: 'ok\n' };

describe('login', () => {
  it('uses a key file, plain or with a passphrase', async () => {
    const locked = makeKey(join(scratch, 'locked'), 'rsa', 'open sesame');
    appendFileSync(join(sshd.directory, 'authorized_keys'), readFileSync(`${locked}.pub`));
    expect(await hostOn(sshd).run('echo ok')).toMatchObject(ok);
    expect(await hostOn(sshd, { keyFile: locked, passphrase: 'open sesame' }).run('echo ok')).toMatchObject(ok);
    for (const passphrase of ['wrong', undefined]) {
      await expect(hostOn(sshd, { keyFile: locked, passphrase }).run('true')).rejects.toMatchObject({
        code: 'E_HOST_AUTH',
        message: expect.stringContaining(locked),
        hint: expect.stringContaining('passphrase'),
      });
    }
  });

  it('uses an ssh-agent', async () => {
    const socket = join(scratch, 'agent');
    const agent = spawn('ssh-agent', ['-D', '-a', socket], { stdio: 'ignore' });
    cleanups.push(() => agent.kill());
    await until(() => existsSync(socket), 20);
    const env = { ...process.env, SSH_AUTH_SOCK: socket };
    const stranger = makeKey(join(scratch, 'stranger'));
    execFileSync('ssh-add', [stranger, sshd.keyFile], { env, stdio: 'ignore' });
    expect(await hostOn(sshd, { keyFile: undefined, agent: socket }).run('echo ok')).toMatchObject(ok);
    // an agent that is not there is no reason to give up: the key file is tried too
    expect(await hostOn(sshd, { agent: join(scratch, 'no-agent') }).run('echo ok')).toMatchObject(ok);
  });

  it('says what it tried when it is refused', async () => {
    const unknown = makeKey(join(scratch, 'unknown'), 'ecdsa');
    await expect(hostOn(sshd, { keyFile: unknown }).run('true')).rejects.toMatchObject({
      code: 'E_HOST_AUTH',
      message: expect.stringMatching(/refused: tried key .*unknown; the host allows publickey/),
      hint: expect.stringMatching(/-u\b.*-i FILE.*-p\b/),
    });
    await expect(hostOn(sshd, { keyFile: join(scratch, 'none') }).run('true')).rejects.toMatchObject({
      code: 'E_NOT_FOUND',
      hint: expect.stringContaining('-i FILE'),
    });
    await expect(hostOn(sshd, { keyFile: `${unknown}.pub` }).run('true')).rejects.toMatchObject({
      code: 'E_HOST_AUTH',
      message: expect.stringContaining('public key'),
    });
  });

  it('passes over what the login shell prints, and reports a host that offers no shell', async () => {
    const noise = join(scratch, 'noise.sh');
    writeFileSync(noise, 'printf "welcome\\nto this host"\n');
    const noisy = hostOn(await started({ env: [`BASH_ENV=${noise}`] }));
    expect(await noisy.run('echo ok')).toMatchObject(ok);
    await noisy.writeFile(join(scratch, 'noisy'), 'content');
    expect((await noisy.readFile(join(scratch, 'noisy')))?.toString()).toBe('content');
    const forced = await started({ config: ['ForceCommand echo Please login as the user \\"debian\\".'] });
    await expect(hostOn(forced).run('true')).rejects.toMatchObject({
      code: 'E_HOST_AUTH',
      message: expect.stringContaining('Please login as the user'),
    });
  });
});

describe('host keys', () => {
  const policy = (recordFile: string, mode: 'tofu' | 'strict' = 'tofu') => ({
    hostKeys: { mode, recordFile, readFiles: [] },
  });
  const fingerprintOf = (path: string): string =>
    execFileSync('ssh-keygen', ['-lf', path]).toString().split(' ')[1] ?? '';

  it('records a key at its first use, for itself and for ssh', async () => {
    const file = join(scratch, 'fresh', 'known_hosts');
    await Promise.all(Array.from({ length: 5 }, () => hostOn(sshd, policy(file)).run('true')));
    expect(statSync(file).mode & 0o777).toBe(0o600);
    const found = execFileSync('ssh-keygen', ['-F', `[127.0.0.1]:${sshd.port}`, '-f', file]).toString();
    const [type, key] = readFileSync(sshd.hostKey('ed25519'), 'utf8').split(' ');
    expect(found).toContain(`${type} ${key}`);
    expect(await hostOn(sshd, policy(file, 'strict')).run('echo ok')).toMatchObject(ok);
  });

  it('refuses a changed key, with both fingerprints and the line', async () => {
    const file = join(scratch, 'changed');
    const other = makeKey(join(scratch, 'other-host'));
    writeFileSync(file, `# comment\n[127.0.0.1]:${sshd.port} ${readFileSync(`${other}.pub`, 'utf8')}`);
    const host = hostOn(sshd, policy(file));
    await expect(host.run('true')).rejects.toMatchObject({
      code: 'E_HOST_KEY',
      message: expect.stringContaining(`${file}:2 has ssh-ed25519 ${fingerprintOf(`${other}.pub`)}`),
      hint: expect.stringContaining(`ssh-keygen -R '[127.0.0.1]:${sshd.port}' -f '${file}'`),
    });
    await expect(host.run('true')).rejects.toThrow(fingerprintOf(sshd.hostKey('ed25519')));
    execFileSync('ssh-keygen', ['-R', `[127.0.0.1]:${sshd.port}`, '-f', file], { stdio: 'ignore' });
    expect(await host.run('echo ok')).toMatchObject(ok);
  });

  it.each(['rsa', 'ecdsa'] as const)('asks for the key type on record (%s), also in a hashed line', async (type) => {
    const file = join(scratch, `known-${type}`);
    writeFileSync(file, `[127.0.0.1]:${sshd.port} ${readFileSync(sshd.hostKey(type), 'utf8')}`);
    execFileSync('ssh-keygen', ['-H', '-f', file], { stdio: 'ignore' });
    expect(await hostOn(sshd, policy(file, 'strict')).run('echo ok')).toMatchObject(ok);
    expect(readFileSync(file, 'utf8').trim().split('\n')).toHaveLength(1);
  });

  it('takes no unknown host in strict mode, no revoked key in any, and any key in mode off', async () => {
    const file = join(scratch, 'strict');
    await expect(hostOn(sshd, policy(file, 'strict')).run('true')).rejects.toMatchObject({
      code: 'E_HOST_KEY',
      message: expect.stringContaining(fingerprintOf(sshd.hostKey('ed25519'))),
    });
    expect(existsSync(file)).toBe(false);
    const line = `[127.0.0.1]:${sshd.port} ${readFileSync(sshd.hostKey('ed25519'), 'utf8')}`;
    writeFileSync(file, `${line}@revoked * ${readFileSync(sshd.hostKey('ed25519'), 'utf8')}`);
    await expect(hostOn(sshd, policy(file)).run('true')).rejects.toThrow(/revoked in .*strict:2/);
    expect(await hostOn(sshd, { hostKeys: { mode: 'off', recordFile: file } }).run('echo ok')).toMatchObject(ok);
  });
});

describe('connection', () => {
  it('is one for many commands', async () => {
    const proxy = await startProxy(sshd.port);
    cleanups.push(() => proxy.stop());
    const host = hostOn({ ...sshd, port: proxy.port });
    await Promise.all(Array.from({ length: 12 }, () => host.run('sleep 0.05')));
    await host.facts();
    await host.writeFile(join(scratch, 'one'), 'x');
    expect(proxy.count()).toBe(1);
  });

  it('that is cut is an error that names the command, ends it on the host, and is made anew', async () => {
    const proxy = await startProxy(sshd.port);
    cleanups.push(() => proxy.stop());
    const host = hostOn({ ...sshd, port: proxy.port });
    const sleep = `sleep ${Math.floor(1e6 + Math.random() * 1e6)}`;
    const outcome = expect(host.run(`echo started; ${sleep}`, { title: 'kubeadm join' })).rejects.toMatchObject({
      code: 'E_HOST_UNREACHABLE',
      message: expect.stringMatching(/^host 127\.0\.0\.1: .*while running kubeadm join/),
    });
    const running = (): boolean => execFileSync('ps', ['-eo', 'args']).toString().includes(sleep);
    await until(running, 20);
    proxy.cut();
    await outcome;
    await until(() => !running(), 20);
    expect(await host.run('echo ok')).toMatchObject(ok);
    expect(proxy.count()).toBe(2);
  });

  it('that falls silent is found lost by keep-alive', async () => {
    const proxy = await startProxy(sshd.port);
    cleanups.push(() => proxy.stop());
    const host = hostOn({ ...sshd, port: proxy.port }, { keepAliveMs: 100 });
    // while it lives, keep-alives are answered however long a command is silent
    expect(await host.run('sleep 1; echo ok')).toMatchObject(ok);
    const outcome = expect(host.run('sleep 1000')).rejects.toMatchObject({
      code: 'E_HOST_UNREACHABLE',
      message: expect.stringContaining('nothing was heard'),
    });
    proxy.freeze();
    await outcome;
  });

  it('that is refused, or never answered, ends in time', async () => {
    const port = await freePort();
    await expect(hostOn({ ...sshd, port }).run('true')).rejects.toMatchObject({
      code: 'E_HOST_UNREACHABLE',
      message: expect.stringContaining('ECONNREFUSED'),
    });
    const silent = await listen(() => {});
    await expect(hostOn({ ...sshd, port: silent }, { connectTimeoutMs: 300 }).run('true')).rejects.toMatchObject({
      code: 'E_HOST_UNREACHABLE',
    });
    const web = await listen((socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'));
    await expect(hostOn({ ...sshd, port: web }).run('true')).rejects.toMatchObject({ code: 'E_HOST_UNREACHABLE' });
  });

  it('works with as few sessions as the host allows, and says when one is too few', async () => {
    const two = hostOn(await started({ config: ['MaxSessions 2'] }));
    const outputs = await Promise.all(Array.from({ length: 10 }, (_, i) => two.run(`sleep 0.02; echo ${i}`)));
    expect(outputs.map(({ stdout }) => stdout)).toEqual(Array.from({ length: 10 }, (_, i) => `${i}\n`));
    const one = hostOn(await started({ config: ['MaxSessions 1'] }));
    await expect(one.run('true')).rejects.toMatchObject({
      code: 'E_HOST_UNREACHABLE',
      hint: expect.stringContaining('MaxSessions'),
    });
  });

  it('carries data whole when keys are renewed on the way', async () => {
    const host = hostOn(await started({ config: ['RekeyLimit 2M'] }));
    const block = randomBytes(1 << 20);
    const sent = createHash('sha256');
    const stdin = Readable.from(
      (function* () {
        for (let index = 0; index < 30; index++) {
          sent.update(block);
          yield block;
        }
      })(),
    );
    const { stdout } = await host.run('sha256sum', { stdin });
    expect(stdout.split(' ')[0]).toBe(sent.digest('hex'));
  });

  it('goes through a bastion', async () => {
    const inner = await started({});
    const proxy = await startProxy(sshd.port);
    cleanups.push(() => proxy.stop());
    const bastion = await connectBastion('127.0.0.1', {
      port: proxy.port,
      keyFile: sshd.keyFile,
      agent: false,
      hostKeys: { mode: 'off' },
    });
    cleanups.push(() => bastion.close());
    const hosts = Array.from({ length: 3 }, () => hostOn(inner, { via: bastion }));
    expect(await onHosts(hosts, async (host) => (await host.run('echo ok')).stdout)).toEqual(['ok\n', 'ok\n', 'ok\n']);
    expect(proxy.count()).toBe(1);
    await expect(hostOn({ ...inner, port: await freePort() }, { via: bastion }).run('true')).rejects.toMatchObject({
      code: 'E_HOST_UNREACHABLE',
      message: expect.stringContaining('through the bastion host 127.0.0.1'),
    });
    proxy.cut();
    await expect(hosts[0]?.run('true')).rejects.toMatchObject({ code: 'E_HOST_UNREACHABLE' });
  });
});

/** A TCP server that does this with each connection. */
async function listen(onConnection: Parameters<typeof createServer>[1]): Promise<number> {
  const server: Server = createServer(onConnection);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  cleanups.push(() => server.close());
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}

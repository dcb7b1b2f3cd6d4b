import { execFileSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable, Writable } from 'node:stream';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { connectHost } from '../../../src/hosts/connect.js';
import type { Host } from '../../../src/hosts/host.js';
import { until } from '../../support/until.js';
import { type Sshd, startSshd } from './sshd.js';

const scratch = mkdtempSync(join(tmpdir(), 'slipway-hosts-'));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

/** A directory for the front of PATH in which `sh` (and for busybox every tool it has) is another program. */
function shellDirectory(shell: 'bash' | 'busybox'): string {
  const directory = mkdtempSync(join(scratch, shell));
  if (shell === 'bash') symlinkSync('/bin/bash', join(directory, 'sh'));
  else execFileSync('busybox', ['--install', '-s', directory]);
  return directory;
}

/** Whether a process runs whose arguments hold this word. */
function running(word: string): boolean {
  return execFileSync('ps', ['-eo', 'args']).toString().includes(word);
}

/** A sleep that ps can tell from all others. */
let sleeps = 100_000 + Math.floor(Math.random() * 800_000);
function uniqueSleep(): string {
  return `sleep ${sleeps++}`;
}

const kinds = ['local', 'dash', 'bash', 'busybox'] as const;

describe.each(kinds)('a host (%s)', (kind) => {
  let sshd: Sshd | undefined;
  let host: Host;

  beforeAll(async () => {
    if (kind === 'local') {
      host = connectHost('127.0.0.1');
      return;
    }
    const env = kind === 'dash' ? [] : [`PATH=${shellDirectory(kind)}:/usr/sbin:/usr/bin:/sbin:/bin`];
    sshd = await startSshd({ env });
    host = connectHost('127.0.0.1', {
      ssh: { port: sshd.port, keyFile: sshd.keyFile, agent: false, hostKeys: { mode: 'off' } },
    });
  });

  afterAll(async () => {
    await host.close();
    await sshd?.stop();
  });

  it('runs a script as root with the shell we think it has', async () => {
    const { stdout } = await host.run('id -u; readlink /proc/$$/exe; umask');
    const shell = { local: 'dash', dash: 'dash', bash: 'bash', busybox: 'busybox' }[kind];
    expect(stdout.split('\n')).toEqual(['0', expect.stringContaining(shell), '0022', '']);
    expect(host.local).toBe(kind === 'local');
  });

  it('gives exit code, stdout and stderr, and puts the last lines into the error', async () => {
    expect(await host.run('echo out; echo err >&2; exit 7', { allowFailure: true })).toEqual({
      code: 7,
      stdout: 'out\n',
      stderr: 'err\n',
    });
    await expect(host.run('seq 30; echo broken >&2; exit 7', { title: 'kubeadm init' })).rejects.toMatchObject({
      code: 'E_HOST_COMMAND',
      message: expect.stringMatching(
        /^host 127\.0\.0\.1: kubeadm init failed with exit code 7:\n {2}(12|11)\n(.*\n)*.*30\n(.*\n)*.*broken/,
      ),
      details: { host: '127.0.0.1', title: 'kubeadm init', exitCode: 7 },
    });
    await expect(host.run('kill -9 $$', { allowFailure: true })).resolves.toMatchObject({ code: 137 });
  });

  it('passes env, working directory and standard input through unharmed', async () => {
    const value = `it's "quoted" $HOME \`id\` \\n \t * ?\nsecond line; é 日本`;
    const { stdout } = await host.run('printf %s "$VALUE"; printf "|%s|" "$PWD"; cat', {
      env: { VALUE: value },
      cwd: '/usr/lib',
      stdin: 'the\0input\n',
    });
    expect(stdout).toBe(`${value}|/usr/lib|the\0input\n`);
    expect((await host.run('cat; echo done')).stdout).toBe('done\n');
    await expect(host.run('true', { cwd: '/nowhere' })).rejects.toMatchObject({ code: 'E_HOST_COMMAND' });
    await expect(host.run('true', { env: { 'A B': '' } })).rejects.toMatchObject({ code: 'E_USAGE' });
  });

  it('keeps the script off every command line', async () => {
    const { stdout } = await host.run('ps -eo args 2>/dev/null || ps -o args; : marker-in-the-script', {
      env: { SECRET: 'secret-in-the-env' },
    });
    expect(stdout).not.toContain('marker-in-the-script');
    expect(stdout).not.toContain('secret-in-the-env');
  });

  it('takes a script of 1 MB and leaves its input whole', async () => {
    const filler = Array.from({ length: 16_000 }, (_, line) => `: line ${line} ${'x'.repeat(50)}`).join('\n');
    const { stdout } = await host.run(`${filler}\ncat; echo ok`, { stdin: 'input\n' });
    expect(stdout).toBe('input\nok\n');
  });

  it('lets a script open /dev/stderr and /dev/stdout by name', async () => {
    const result = await host.run('echo a >/dev/stderr; echo b >/dev/stdout; cat /dev/stdin', { stdin: 'c' });
    expect(result).toEqual({ code: 0, stdout: 'b\nc', stderr: 'a\n' });
  });

  it('survives 100 MB of output, keeping its beginning and its end', async () => {
    let seen = 0;
    const { stdout } = await host.run('echo first; yes | head -c 100000000; echo last', {
      onOutput: (text) => {
        seen += text.length;
      },
    });
    expect(seen).toBe(100_000_011);
    expect(stdout).toMatch(/^first\ny\n/);
    expect(stdout).toMatch(/characters dropped/);
    expect(stdout).toMatch(/y\nlast\n$/);
    expect(stdout.length).toBeLessThan(3_000_000);
  });

  it('streams large input and output with their bytes unchanged', async () => {
    const block = randomBytes(1024 * 1024);
    const blocks = 40;
    const sent = createHash('sha256');
    const input = Readable.from(
      (function* () {
        for (let index = 0; index < blocks; index++) {
          sent.update(block);
          yield block;
        }
      })(),
    );
    const received = createHash('sha256');
    const stdout = new Writable({
      write(chunk: Buffer, _encoding, done) {
        received.update(chunk);
        setImmediate(done);
      },
    });
    const { stderr, stdout: text } = await host.run('cat; echo end >&2', { stdin: input, stdout });
    expect(text).toBe('');
    expect(stderr).toBe('end\n');
    expect(received.digest('hex')).toBe(sent.digest('hex'));
  });

  it('does not wait for input that the script never reads', async () => {
    const endless = new Readable({
      read() {
        this.push(Buffer.alloc(65536));
      },
    });
    await expect(host.run('head -c 10 >/dev/null; exit 3', { stdin: endless })).rejects.toMatchObject({
      code: 'E_HOST_COMMAND',
      details: { exitCode: 3 },
    });
    expect(endless.destroyed).toBe(true);
    const stalled = new Readable({ read() {} });
    expect((await host.run('echo done', { stdin: stalled })).stdout).toBe('done\n');
    expect(stalled.destroyed).toBe(true);
  });

  it('ends the script when its input fails, which must not look like the end of the input', async () => {
    const file = join(scratch, `partial-${kind}`);
    const failing = Readable.from(
      (async function* () {
        yield Buffer.from('first part');
        await until(() => existsSync(file) && readFileSync(file, 'utf8') === 'first part', 20);
        throw new Error('the disk of this machine failed');
      })(),
    );
    await expect(
      host.run(`cat >${file}; touch ${file}.complete`, { stdin: failing, title: 'copy' }),
    ).rejects.toMatchObject({
      code: 'E_HOST_COMMAND',
      message: 'host 127.0.0.1: copy was ended: its input failed: the disk of this machine failed',
    });
    expect(existsSync(`${file}.complete`)).toBe(false);
  });

  it('ends every process of a command that takes too long, also what made its own process group', async () => {
    const [one, two] = [uniqueSleep(), uniqueSleep()];
    await expect(
      host.run(`${one} & trap '' TERM; timeout 1000000 ${two}; wait; sleep 1000`, { timeoutMs: 1000, title: 'hang' }),
    ).rejects.toMatchObject({ code: 'E_TIMEOUT', message: expect.stringContaining('hang did not end within 1.0s') });
    await until(() => !running(one) && !running(two), 20);
  });

  it('ends a command that is silent, and leaves one that speaks', async () => {
    const sleep = uniqueSleep();
    await expect(host.run(`echo a; ${sleep}`, { idleTimeoutMs: 500 })).rejects.toMatchObject({ code: 'E_TIMEOUT' });
    await until(() => !running(sleep), 20);
    // longer than that in all, and far from silent for as long at a time, also on a machine with other work
    const talk = 'for i in 1 2 3 4 5 6 7 8 9 10 11 12; do echo $i; sleep 0.3; done';
    expect((await host.run(talk, { idleTimeoutMs: 3000 })).code).toBe(0);
  });

  it('ends a command when it is interrupted', async () => {
    const sleep = uniqueSleep();
    const abort = new AbortController();
    const run = host.run(sleep, { signal: abort.signal });
    const outcome = expect(run).rejects.toMatchObject({ code: 'E_INTERRUPTED' });
    await until(() => running(sleep), 20);
    abort.abort(new Error('stop'));
    await outcome;
    await until(() => !running(sleep), 20);
    await expect(host.run('true', { signal: abort.signal })).rejects.toMatchObject({ code: 'E_INTERRUPTED' });
  });

  it('ends what runs when the connection is closed, and connects again', async () => {
    const sleep = uniqueSleep();
    const outcome = expect(host.run(sleep, { title: 'long' })).rejects.toMatchObject({
      code: 'E_HOST_UNREACHABLE',
      message: expect.stringContaining('while running long'),
    });
    await until(() => running(sleep), 20);
    await host.close();
    await outcome;
    await until(() => !running(sleep), 20);
    expect((await host.run('echo back')).stdout).toBe('back\n');
  });

  it('does not wait for a background process that holds the output', async () => {
    const sleep = uniqueSleep();
    expect((await host.run(`${sleep} & echo $!`)).code).toBe(0);
    expect(running(sleep)).toBe(true);
    await host.run(`kill $(ps -eo pid,args | grep '[${sleep[0]}]${sleep.slice(1)}' | awk '{ print $1 }')`);
  });

  it('runs many commands at the same time on one connection', async () => {
    const outputs = await Promise.all(Array.from({ length: 30 }, (_, i) => host.run(`sleep 0.1; echo ${i}`)));
    expect(outputs.map(({ stdout }) => stdout)).toEqual(Array.from({ length: 30 }, (_, i) => `${i}\n`));
  });

  it('writes, finds and reads files', async () => {
    const path = join(scratch, kind, "it's", 'a file');
    const content = randomBytes(300_000);
    expect(await host.exists(path)).toBe(false);
    expect(await host.readFile(path)).toBeUndefined();
    await host.writeFile(path, content, { mode: 0o600 });
    expect(await host.exists(path)).toBe(true);
    expect((await host.readFile(path))?.equals(content)).toBe(true);
    expect((await host.run(`stat -c '%a %u' '${path.replace("'", "'\\''")}'`)).stdout).toBe('600 0\n');
    await host.writeFile(path, 'short');
    expect((await host.readFile(path))?.toString()).toBe('short');
    await host.writeFile(path, '');
    expect((await host.readFile(path))?.length).toBe(0);
    expect(execFileSync('ls', ['-A', join(path, '..')]).toString()).toBe('a file\n');
    await expect(host.writeFile(scratch, 'x')).rejects.toMatchObject({ code: 'E_HOST_COMMAND' });
    await expect(host.readFile(scratch)).rejects.toMatchObject({ code: 'E_HOST_COMMAND' });
    await expect(host.writeFile('relative', 'x')).rejects.toMatchObject({ code: 'E_USAGE' });
    expect(Number((await host.readFile('/proc/sys/kernel/pid_max'))?.toString())).toBeGreaterThan(1);
  });

  it('writes many files at once, each whole, and says which cannot be written', async () => {
    const directory = join(scratch, kind, 'many');
    const contents = new Map<string, Buffer>([
      ["it's", randomBytes(70_000)],
      ['empty', Buffer.alloc(0)],
      ['lines\n\nand $HOME', Buffer.from('\n\n\n')],
      ['deeper/-n', Buffer.from('-n')],
      ['large', randomBytes(1_500_000)],
      [`back\\slash`, randomBytes(10)],
    ]);
    await Promise.all(
      [...contents].map(([name, bytes]) => host.writeFile(join(directory, name), bytes, { mode: 0o640 })),
    );
    for (const [name, bytes] of contents) {
      expect(readFileSync(join(directory, name)).equals(bytes), name).toBe(true);
      expect(statSync(join(directory, name)).mode & 0o7777, name).toBe(0o640);
    }
    const ended = await Promise.allSettled([
      host.writeFile(join(directory, 'first'), '1'),
      host.writeFile(join(directory, 'deeper'), 'is a directory'),
      host.writeFile(join(directory, 'same'), 'one'),
      host.writeFile(join(directory, 'same'), 'two', { mode: 0o600 }),
    ]);
    expect(ended.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled', 'fulfilled']);
    expect(ended[1]).toMatchObject({
      reason: { message: expect.stringContaining(`writing ${directory}/deeper failed`) },
    });
    expect(readFileSync(join(directory, 'first'), 'utf8')).toBe('1');
    expect(readFileSync(join(directory, 'same'), 'utf8')).toBe('two');
    expect(statSync(join(directory, 'same')).mode & 0o7777).toBe(0o600);
    expect(readdirSync(directory).filter((name) => name.startsWith('.slipway'))).toEqual([]);
    expect(readdirSync(join(directory, 'deeper'))).toEqual(['-n']);
  });

  it('reads no file above 16 MiB, and says when the disk is full', async () => {
    const path = join(scratch, `large-${kind}`);
    await host.run(`head -c 16777217 /dev/zero >'${path}'`);
    await expect(host.readFile(path)).rejects.toMatchObject({ message: expect.stringContaining('16 MiB') });
    await expect(host.run('echo x >/dev/full', { title: 'fill' })).rejects.toMatchObject({ code: 'E_HOST_COMMAND' });
  });

  it('tells facts in one go', async () => {
    const facts = await host.facts({
      diskPath: `${scratch}/not/there/yet`,
      programs: ['sh', 'no-such-program', 'tar'],
    });
    expect(facts).toMatchObject({
      hostname: readFileSync('/proc/sys/kernel/hostname', 'utf8').trim(),
      architecture: { x64: 'amd64', arm64: 'arm64' }[process.arch as 'x64'],
      kernel: readFileSync('/proc/sys/kernel/osrelease', 'utf8').trim(),
      programs: ['sh', 'tar'],
      uid: 0,
      systemd: existsSync('/run/systemd/system'),
    });
    expect(Math.abs(facts.clockSkewMs)).toBeLessThan(5000);
    expect(facts.cpus).toBeGreaterThan(0);
    expect(facts.memoryBytes).toBeGreaterThan(100_000_000);
    expect(facts.diskFreeBytes).toBeGreaterThan(1_000_000);
    if (sshd !== undefined) expect(facts.listeningPorts).toContain(sshd.port);
  });

  it('leaves nothing in /run when it is closed', async () => {
    const { stdout } = await host.run('echo /run/slipway.*');
    await host.close();
    const mine = stdout.trim().split(' ');
    expect(mine.some((directory) => existsSync(directory))).toBe(true);
    // others may run at the same time: ours is one that goes away
    await until(() => mine.some((directory) => !existsSync(directory)), 20);
  });
});

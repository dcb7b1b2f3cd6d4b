import { spawn } from 'node:child_process';
import { closeSync } from 'node:fs';
import { userInfo } from 'node:os';
import { finished } from 'node:stream/promises';
import { messageOf, SlipwayError } from '../base/errors.js';
import { makeChildPipes } from './pipe.js';
import { type ExecChannel, type ExitStatus, exitStatus, type Transport } from './transport.js';

/**
 * Commands on this machine, as `sh -c` in a session of their own, with the environment that a login over SSH would have
 * (none of this process's variables but the ones below), so that a script behaves the same here and there.
 */
export class LocalTransport implements Transport {
  readonly name: string;
  readonly #open = new Set<ExecChannel>();

  constructor(address: string) {
    this.name = `host ${address} (this machine)`;
  }

  /** @throws SlipwayError E_HOST_UNREACHABLE when no process can be started */
  async exec(command: string): Promise<ExecChannel> {
    try {
      const channel = await startProcess(command);
      this.#open.add(channel);
      channel.closed.then(() => this.#open.delete(channel));
      return channel;
    } catch (error) {
      throw new SlipwayError('E_HOST_UNREACHABLE', `${this.name}: no shell can be started: ${messageOf(error)}`, {
        cause: error,
      });
    }
  }

  async close(): Promise<void> {
    for (const channel of this.#open) channel.close();
  }
}

async function startProcess(command: string): Promise<ExecChannel> {
  const { stdin, stdout, stderr } = await makeChildPipes();
  const child = spawn('/bin/sh', ['-c', command], {
    detached: true,
    stdio: [stdin.fd, stdout.fd, stderr.fd],
    cwd: '/',
    env: loginEnvironment(),
  });
  for (const { fd } of [stdin, stdout, stderr]) closeSync(fd);
  const exited = new Promise<ExitStatus>((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code, signal) => resolve(exitStatus(code, signal)));
  });
  exited.catch(() => {});
  await new Promise((resolve, reject) => {
    child.once('spawn', resolve);
    child.once('error', reject);
  }).catch((error: unknown) => {
    for (const { end } of [stdin, stdout, stderr]) end.destroy();
    throw error;
  });
  const ends = [stdout.end, stderr.end].map((end) => finished(end, { writable: false }).catch(() => {}));
  return {
    stdin: stdin.end,
    stdout: stdout.end,
    stderr: stderr.end,
    exited,
    closed: Promise.all(ends).then(() => {}),
    close: () => {
      for (const { end } of [stdin, stdout, stderr]) end.destroy();
    },
  };
}

function loginEnvironment(): NodeJS.ProcessEnv {
  const { username, homedir } = userInfo();
  const path = process.env.PATH ?? '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
  const lang = process.env.LANG;
  return {
    PATH: path,
    HOME: homedir,
    USER: username,
    LOGNAME: username,
    ...(lang === undefined ? {} : { LANG: lang }),
  };
}

// The terminal of a command is closed, or the SSH session of whoever gave it was cut off.
import { spawn } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { LAUNCHER, startSlipway } from '../../support/slipway.js';
import { tempDirectory } from '../../support/temp.js';
import { until } from '../../support/until.js';

const home = tempDirectory('slipway-hangup-');
const root = join(home, 'store');
let silent: Server;
let asked = 0;
let pull: readonly string[];
let command: readonly string[];

beforeAll(async () => {
  // A registry that never answers: whoever pulls is waiting.
  silent = createServer((socket) => {
    asked++;
    socket.on('error', () => {});
  });
  await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
  pull = ['pull', `127.0.0.1:${(silent.address() as AddressInfo).port}/app:v1`];
  command = [process.execPath, LAUNCHER, ...pull];
});
afterAll(() => silent.close());

/** Waits until one more is asking the registry. */
async function waiting(before: number): Promise<void> {
  await until(() => asked > before, 20);
}

/** The text of a file that a shell writes at its end. */
async function written(file: string): Promise<string> {
  await until(() => existsSync(file) && readFileSync(file, 'utf8').endsWith('\n'));
  return readFileSync(file, 'utf8');
}

/** What comes first is heard first: that nothing came of the one is known when the other is obeyed. */
function hangUpAndEnd(pid: number): void {
  process.kill(pid, 'SIGHUP');
  process.kill(pid, 'SIGTERM');
}

describe('SIGHUP', () => {
  it('ends a command in order, however often it comes', async () => {
    const before = asked;
    const { kill, ended } = startSlipway(pull, { root });
    await waiting(before);
    kill('SIGHUP');
    kill('SIGHUP');
    const { code, signal, stderr } = await ended;
    expect({ code, signal }).toEqual({ code: 130, signal: null });
    expect(stderr).toContain('the terminal was closed (SIGHUP): stopping\n');
    expect(stderr).toContain('error: interrupted');
  });

  it('ends nothing under nohup, whatever its input is', async () => {
    const before = asked;
    const line = 'nohup "$0" "$@" 2>"$ERRORS" </dev/null & child=$!; echo $child; wait $child; echo "ended with $?"';
    const shell = spawn('bash', ['-c', line, ...command], {
      env: { ...process.env, SLIPWAY_ROOT: root, ERRORS: join(home, 'nohup.err') },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let output = '';
    shell.stdout.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
    const closed = new Promise((resolve) => shell.once('close', resolve));
    await waiting(before);
    hangUpAndEnd(Number.parseInt(output, 10));
    await closed;
    expect(output).toContain('ended with 130');
    expect(readFileSync(join(home, 'nohup.err'), 'utf8')).not.toContain('SIGHUP');
  });
});

describe('a terminal that is closed', () => {
  /** Runs a line of shell at a terminal of its own. @returns what takes the terminal away. */
  function atTerminal(line: string, env: NodeJS.ProcessEnv): () => Promise<unknown> {
    const terminal = spawn('script', ['-qec', line, '/dev/null'], {
      env: { ...process.env, ...env, SHELL: '/bin/sh', SLIPWAY_ROOT: root },
      stdio: ['pipe', 'ignore', 'ignore'],
    });
    const closed = new Promise((resolve) => terminal.once('exit', resolve));
    return () => {
      terminal.kill('SIGKILL');
      return closed;
    };
  }

  const quoted = (words: readonly string[]): string => words.map((word) => `'${word}'`).join(' ');

  it('stops what runs at it, in order and with its own exit code', async () => {
    const [before, file] = [asked, join(home, 'code')];
    // A shell that hands the signal on, as interactive ones do, and lives to see the end.
    const close = atTerminal(`${quoted(command)} & trap "kill -HUP $!" HUP; wait $!; wait $!; echo $? >"$CODE"`, {
      CODE: file,
    });
    await waiting(before);
    await close();
    expect(await written(file)).toBe('130\n');
  });

  it('does not matter to what was told to go on without it', async () => {
    const [before, file, numbered] = [asked, join(home, 'code-nohup'), join(home, 'pid')];
    const close = atTerminal(
      `trap : HUP; sh -c 'echo $$ >"$PID"; exec nohup "$@" >/dev/null 2>"$ERRORS"' sh ${quoted(command)}; echo $? >"$CODE"`,
      { CODE: file, PID: numbered, ERRORS: join(home, 'terminal.err') },
    );
    await waiting(before);
    await close();
    hangUpAndEnd(Number(readFileSync(numbered, 'utf8')));
    expect(await written(file)).toBe('130\n');
    expect(readFileSync(join(home, 'terminal.err'), 'utf8')).not.toContain('SIGHUP');
  });

  it('is no answer to a question', async () => {
    const [file, errors] = [join(home, 'code-question'), join(home, 'question.err')];
    const login = quoted([process.execPath, LAUNCHER, 'login', 'registry.example']);
    const close = atTerminal(`trap : HUP; ${login} 2>"$ERRORS"; echo $? >"$CODE"`, { CODE: file, ERRORS: errors });
    await until(() => existsSync(errors) && readFileSync(errors, 'utf8').includes('User name for'), 20);
    await close();
    expect(await written(file)).toBe('130\n');
    expect(readFileSync(errors, 'utf8')).toMatch(/error: no answer\n$/);
  });

  it('takes nothing from the exit code of a command that has only its results to print', async () => {
    const file = join(home, 'code-late');
    const close = atTerminal(
      `trap "" HUP; touch "$BEGUN"; until [ -e "$CLOSED" ]; do sleep 0.1; done; ${quoted([process.execPath, LAUNCHER, 'images'])}; echo $? >"$CODE"`,
      { CODE: file, BEGUN: join(home, 'begun'), CLOSED: join(home, 'closed') },
    );
    await until(() => existsSync(join(home, 'begun')), 20);
    await close();
    writeFileSync(join(home, 'closed'), '');
    expect(await written(file)).toBe('0\n');
  });
});

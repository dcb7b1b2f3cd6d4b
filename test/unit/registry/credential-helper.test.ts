import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import type { Reporter } from '../../../src/base/reporter.js';
import { findCredential, removeCredential, saveCredential } from '../../../src/registry/credentials.js';

/** A home whose docker config names the helper `box`, which is this shell script; `$DIR` is the home. */
async function homeWithHelper(script: string, config: unknown = { credsStore: 'box' }) {
  const dir = await mkdtemp(join(tmpdir(), 'slipway-helper-'));
  onTestFinished(() => rm(dir, { recursive: true }));
  await mkdir(join(dir, '.docker'));
  await writeFile(join(dir, '.docker/config.json'), JSON.stringify(config));
  await writeFile(join(dir, 'docker-credential-box'), `#!/bin/sh\nDIR=${dir}\n${script}\n`);
  await chmod(join(dir, 'docker-credential-box'), 0o755);
  return { dir, env: { HOME: dir, PATH: `${dir}:${process.env.PATH}` } };
}

const ANSWER = `echo '{"ServerURL":"r.example","Username":"anna","Secret":"the-secret-of-anna"}'`;
const FOUND = { kind: 'basic', username: 'anna', password: 'the-secret-of-anna' };

/** Looks credentials up; gives what was found and what was warned of. */
async function look(
  env: NodeJS.ProcessEnv,
  options: { readonly patience?: number; readonly signal?: AbortSignal } = {},
) {
  const warnings: string[] = [];
  const reporter = { warn: (line: string) => warnings.push(line) } as unknown as Reporter;
  return { found: await findCredential('r.example', 'x', { env, reporter, ...options }), warnings };
}

describe('a credential helper that', () => {
  test('knows the server is believed', async () => {
    const { dir, env } = await homeWithHelper(`cat > $DIR/asked; echo "$@" > $DIR/verb; ${ANSWER}`);
    expect(await look(env)).toEqual({ found: FOUND, warnings: [] });
    expect(await readFile(join(dir, 'asked'), 'utf8')).toBe('r.example');
    expect(await readFile(join(dir, 'verb'), 'utf8')).toBe('get\n');
  });

  test('has nothing for the server is no failure', async () => {
    const { env } = await homeWithHelper('echo "credentials not found in native keychain"; exit 1');
    expect(await look(env)).toEqual({ found: undefined, warnings: [] });
  });

  test('fails is passed over, and its reason told', async () => {
    const { env } = await homeWithHelper('echo "error: no session bus"; exit 1', {
      credsStore: 'box',
      auths: { 'r.example': { auth: Buffer.from('bert:in-the-file').toString('base64') } },
    });
    const { found, warnings } = await look(env);
    expect(found).toMatchObject({ username: 'bert' });
    expect(warnings).toEqual(['docker-credential-box get failed for r.example (exit code 1: error: no session bus)']);
  });

  test('fails after it has printed a secret: the secret is not told', async () => {
    const { env } = await homeWithHelper(`${ANSWER}; exit 3`);
    const { found, warnings } = await look(env);
    expect(found).toBeUndefined();
    expect(warnings).toEqual(['docker-credential-box get failed for r.example (exit code 3)']);
  });

  test.each([
    ['text', 'echo the-secret-of-anna'],
    ['other JSON', `echo '{"password":"the-secret-of-anna"}'`],
    ['nothing', 'true'],
    ['half of an answer', `echo '{"Username":"anna","Secret":"the-secret-of'`],
  ])('prints %s is passed over; what it printed is not told', async (_, script) => {
    const { env } = await homeWithHelper(script);
    const { found, warnings } = await look(env);
    expect(found).toBeUndefined();
    expect(warnings).toEqual(['docker-credential-box gave something else than credentials for r.example']);
  });

  test('is not there is passed over', async () => {
    const { env } = await homeWithHelper('true', { credHelpers: { 'r.example': 'absent' } });
    const { found, warnings } = await look(env);
    expect(found).toBeUndefined();
    expect(warnings).toEqual(['the credential helper docker-credential-absent is not on PATH']);
  });

  test('never answers is given up, and ended', async () => {
    // The shell's child would hold the pipe open for a long time.
    const { dir, env } = await homeWithHelper('echo $$ > $DIR/pid; sleep 600 & echo $! > $DIR/child; wait');
    const { found, warnings } = await look(env, { patience: 500 });
    onTestFinished(async () => {
      process.kill(Number(await readFile(join(dir, 'child'), 'utf8')));
    });
    expect(found).toBeUndefined();
    expect(warnings).toEqual(['docker-credential-box get did not answer within 0.5s']);
    const pid = Number(await readFile(join(dir, 'pid'), 'utf8'));
    await expect.poll(() => isRunning(pid)).toBe(false);
  });

  test('leaves something running that holds its output open has answered all the same', async () => {
    const { dir, env } = await homeWithHelper(`sleep 600 & echo $! > $DIR/child; ${ANSWER}`);
    expect((await look(env)).found).toEqual(FOUND);
    process.kill(Number(await readFile(join(dir, 'child'), 'utf8')));
  });

  test('prints without end is given up', async () => {
    const { env } = await homeWithHelper('yes');
    expect((await look(env)).warnings).toEqual(['docker-credential-box get prints without end']);
  });

  test('is waited for only until the command is interrupted', async () => {
    const { env } = await homeWithHelper('exec sleep 600');
    const interrupt = new AbortController();
    const reason = new Error('interrupted');
    const looking = look(env, { signal: interrupt.signal });
    setTimeout(() => interrupt.abort(reason), 50);
    await expect(looking).rejects.toBe(reason);
  });
});

test('secrets reach a helper on its standard input alone', async () => {
  const { dir, env } = await homeWithHelper(
    'tr "\\0" " " < /proc/$$/cmdline >> $DIR/seen; env >> $DIR/seen; cat > $DIR/kept-$1; exit 0',
  );
  await saveCredential('r.example', { username: 'anna', password: 'the-secret-of-anna' }, env);
  expect(JSON.parse(await readFile(join(dir, 'kept-store'), 'utf8'))).toEqual({
    ServerURL: 'r.example',
    Username: 'anna',
    Secret: 'the-secret-of-anna',
  });
  const seen = await readFile(join(dir, 'seen'), 'utf8');
  expect(seen).toContain('docker-credential-box store');
  expect(seen).not.toContain('the-secret-of-anna');
  expect(await readFile(join(dir, '.docker/config.json'), 'utf8')).toBe('{"credsStore":"box"}');
});

test('a helper that does not keep what it is given is an error', async () => {
  const { env } = await homeWithHelper('echo "the key ring is locked" >&2; exit 1');
  const saving = saveCredential('r.example', { username: 'anna', password: 'the-secret-of-anna' }, env);
  await expect(saving).rejects.toMatchObject({
    code: 'E_UNAUTHORIZED',
    message: expect.stringContaining('the key ring is locked'),
  });
});

test.each([{ credsStore: '' }, { credsStore: 'box', credHelpers: { 'r.example': '' } }])(
  'an empty name is no helper: %j',
  async (config) => {
    const auths = { 'r.example': { auth: Buffer.from('bert:in-the-file').toString('base64') } };
    const { dir, env } = await homeWithHelper(ANSWER, { ...config, auths });
    expect(await look(env)).toMatchObject({ found: { username: 'bert' }, warnings: [] });
    await saveCredential('r.example', { username: 'new', password: 'the-new-one' }, env);
    expect(JSON.parse(await readFile(join(dir, '.docker/config.json'), 'utf8'))).toMatchObject(config);
    expect((await look(env)).found).toMatchObject({ username: 'new' });
  },
);

test('logout takes away what a file has, also where the helper does not work', async () => {
  const auths = { 'r.example': { auth: Buffer.from('bert:in-the-file').toString('base64') } };
  const { dir, env } = await homeWithHelper('true', { credsStore: 'absent', auths });
  await expect(removeCredential('r.example', env)).rejects.toMatchObject({ code: 'E_MISSING_PROGRAM' });
  expect(JSON.parse(await readFile(join(dir, '.docker/config.json'), 'utf8')).auths).toEqual({});
});

test.each(['../evil', 'a b', '-x/../y'])('%j is no name of a helper', async (name) => {
  const { env } = await homeWithHelper('true', { credsStore: name });
  expect((await look(env)).warnings).toEqual([`${JSON.stringify(name)} cannot be the name of a credential helper`]);
});

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

import { type ChildProcess, spawn } from 'node:child_process';
import * as z from 'zod';
import { errnoOf, SlipwayError } from '../base/errors.js';
import { formatDuration } from '../base/format.js';
import { registerSecret } from '../base/redact.js';

/** What docker's helper programs print when they have nothing for a server. */
const NOT_FOUND = 'credentials not found';
const OUTPUT_LIMIT = 64 * 1024;
/** A helper may ask its user to unlock a key ring. */
const PATIENCE = 120_000;
/** Milliseconds for which output is waited for after the end: something that the helper started may hold the pipe open for ever. */
const LINGER = 1_000;

const answerSchema = z.object({ Username: z.string(), Secret: z.string() });

/** What a helper keeps for a server. A user name of `<token>` says that the secret is an identity token. */
export interface HelperSecret {
  readonly username: string;
  readonly secret: string;
}

export interface HelperOptions {
  readonly env: NodeJS.ProcessEnv;
  /** Milliseconds that a helper may take; default two minutes. */
  readonly patience?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Asks `docker-credential-NAME get`; undefined when the helper has nothing for `server`.
 * @throws SlipwayError E_MISSING_PROGRAM, E_UNAUTHORIZED when the helper fails.
 */
export async function helperGet(
  name: string,
  server: string,
  options: HelperOptions,
): Promise<HelperSecret | undefined> {
  const ended = await run(name, 'get', server, options);
  if (ended.code !== 0) {
    if (ended.output.includes(NOT_FOUND)) return undefined;
    throw failed(name, 'get', server, ended);
  }
  let answer: z.infer<typeof answerSchema>;
  try {
    answer = answerSchema.parse(JSON.parse(ended.output));
  } catch {
    // Not what it printed: that may hold the secret.
    throw new SlipwayError(
      'E_UNAUTHORIZED',
      `docker-credential-${name} gave something else than credentials for ${server}`,
      { hint: tryByHand(name, server) },
    );
  }
  registerSecret(answer.Secret);
  return answer.Secret === '' ? undefined : { username: answer.Username, secret: answer.Secret };
}

/** Gives a secret to `docker-credential-NAME store`, on its standard input. */
export async function helperStore(
  name: string,
  server: string,
  { username, secret }: HelperSecret,
  options: HelperOptions,
): Promise<void> {
  const input = JSON.stringify({ ServerURL: server, Username: username, Secret: secret });
  const ended = await run(name, 'store', input, options);
  if (ended.code !== 0) throw failed(name, 'store', server, ended);
}

/** Lets `docker-credential-NAME erase` forget a server; that it knows nothing about it is no failure. */
export async function helperErase(name: string, server: string, options: HelperOptions): Promise<void> {
  const ended = await run(name, 'erase', server, options);
  if (ended.code !== 0 && !ended.output.includes(NOT_FOUND)) throw failed(name, 'erase', server, ended);
}

interface Ended {
  readonly code: number | null;
  readonly output: string;
  /** The beginning of what it wrote to its standard error. */
  readonly complaint: string;
}

function failed(name: string, verb: string, server: string, { code, output, complaint }: Ended): SlipwayError {
  // Helpers say on standard output what is wrong; one that fails after it has printed a secret is not repeated.
  const said = [output, complaint].find((text) => text.trim() !== '' && !/secret/i.test(text));
  const why = said === undefined ? '' : `: ${said.trim().split('\n', 1)[0]?.slice(0, 200)}`;
  return new SlipwayError(
    'E_UNAUTHORIZED',
    `docker-credential-${name} ${verb} failed for ${server} (exit code ${code ?? 'none'}${why})`,
    { hint: tryByHand(name, server) },
  );
}

function tryByHand(name: string, server: string): string {
  return `try it by hand: echo ${server} | docker-credential-${name} get`;
}

async function run(
  name: string,
  verb: string,
  input: string,
  { env, patience = PATIENCE, signal }: HelperOptions,
): Promise<Ended> {
  if (!/^[\w.-]+$/.test(name)) {
    throw new SlipwayError('E_USAGE', `${JSON.stringify(name)} cannot be the name of a credential helper`, {
      hint: 'credHelpers and credsStore name the part after "docker-credential-"',
    });
  }
  signal?.throwIfAborted();
  const child = spawn(`docker-credential-${name}`, [verb], { stdio: ['pipe', 'pipe', 'pipe'], env });
  let stop = (_why: unknown): void => {};
  const onAbort = (): void => stop(signal?.reason);
  const late = `docker-credential-${name} ${verb} did not answer within ${formatDuration(patience)}`;
  const timer = setTimeout(() => stop(new SlipwayError('E_UNAUTHORIZED', late)), patience);
  signal?.addEventListener('abort', onAbort, { once: true });
  try {
    return await new Promise<Ended>((resolve, reject) => {
      stop = reject;
      child.on('error', (cause) => reject(notStarted(name, cause)));
      collect(child, resolve, () =>
        reject(new SlipwayError('E_UNAUTHORIZED', `docker-credential-${name} ${verb} prints without end`)),
      );
      child.stdin.on('error', () => {}); // a helper that ends without reading says so with its exit code
      child.stdin.end(input);
    });
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', onAbort);
    // Nothing may wait for it any more, nor for what it has started.
    child.kill('SIGKILL');
    for (const stream of [child.stdin, child.stdout, child.stderr]) stream.destroy();
  }
}

function collect(child: ChildProcess, done: (ended: Ended) => void, tooMuch: () => void): void {
  let output = '';
  let complaint = '';
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    output += text;
    if (output.length > OUTPUT_LIMIT) tooMuch();
  });
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    if (complaint.length < OUTPUT_LIMIT) complaint += text;
  });
  child.on('exit', (code) => setTimeout(() => done({ code, output, complaint }), LINGER).unref());
  child.on('close', (code) => done({ code, output, complaint }));
}

function notStarted(name: string, cause: Error): SlipwayError {
  const missing = errnoOf(cause) === 'ENOENT';
  return new SlipwayError(
    missing ? 'E_MISSING_PROGRAM' : 'E_UNAUTHORIZED',
    `the credential helper docker-credential-${name} ${missing ? 'is not on PATH' : 'cannot be run'}`,
    { hint: 'install it, or take it out of the docker config file', cause },
  );
}

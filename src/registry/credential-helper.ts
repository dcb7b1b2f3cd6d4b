import { spawn } from 'node:child_process';
import * as z from 'zod';
import { errnoOf, SlipwayError } from '../base/errors.js';

/** What docker's helper programs print when they have nothing for a server. */
const NOT_FOUND = 'credentials not found';
const OUTPUT_LIMIT = 64 * 1024;
/** A helper may ask its user to unlock a key ring. */
const PATIENCE = 120_000;

const answerSchema = z.object({ Username: z.string(), Secret: z.string() });

/** What a helper keeps for a server. A user name of `<token>` says that the secret is an identity token. */
export interface HelperSecret {
  readonly username: string;
  readonly secret: string;
}

/**
 * Asks `docker-credential-NAME get`; undefined when the helper has nothing for `server`.
 * @throws SlipwayError E_MISSING_PROGRAM, E_UNAUTHORIZED when the helper fails.
 */
export async function helperGet(
  name: string,
  server: string,
  env: NodeJS.ProcessEnv,
): Promise<HelperSecret | undefined> {
  const { code, output } = await run(name, 'get', server, env);
  if (code !== 0) {
    if (output.includes(NOT_FOUND)) return undefined;
    throw failed(name, 'get', server, code);
  }
  let answer: z.infer<typeof answerSchema>;
  try {
    answer = answerSchema.parse(JSON.parse(output));
  } catch {
    throw new SlipwayError(
      'E_UNAUTHORIZED',
      `docker-credential-${name} gave something else than credentials for ${server}`,
    );
  }
  return answer.Secret === '' ? undefined : { username: answer.Username, secret: answer.Secret };
}

/** Gives a secret to `docker-credential-NAME store`, on its standard input. */
export async function helperStore(
  name: string,
  server: string,
  { username, secret }: HelperSecret,
  env: NodeJS.ProcessEnv,
): Promise<void> {
  const input = JSON.stringify({ ServerURL: server, Username: username, Secret: secret });
  const { code } = await run(name, 'store', input, env);
  if (code !== 0) throw failed(name, 'store', server, code);
}

/** Lets `docker-credential-NAME erase` forget a server; that it knows nothing about it is no failure. */
export async function helperErase(name: string, server: string, env: NodeJS.ProcessEnv): Promise<void> {
  const { code, output } = await run(name, 'erase', server, env);
  if (code !== 0 && !output.includes(NOT_FOUND)) throw failed(name, 'erase', server, code);
}

function failed(name: string, verb: string, server: string, code: number | null): SlipwayError {
  return new SlipwayError(
    'E_UNAUTHORIZED',
    `docker-credential-${name} ${verb} failed for ${server} (exit code ${code ?? 'none'})`,
    {
      hint: `try it by hand: echo ${server} | docker-credential-${name} get`,
    },
  );
}

function run(
  name: string,
  verb: string,
  input: string,
  env: NodeJS.ProcessEnv,
): Promise<{ readonly code: number | null; readonly output: string }> {
  if (!/^[\w.-]+$/.test(name)) {
    throw new SlipwayError('E_USAGE', `${JSON.stringify(name)} cannot be the name of a credential helper`, {
      hint: 'credHelpers and credsStore name the part after "docker-credential-"',
    });
  }
  return new Promise((resolve, reject) => {
    const child = spawn(`docker-credential-${name}`, [verb], {
      stdio: ['pipe', 'pipe', 'ignore'],
      env,
      timeout: PATIENCE,
    });
    let output = '';
    child.stdout.setEncoding('utf8');
    child.stdout.on('data', (text: string) => {
      if (output.length < OUTPUT_LIMIT) output += text;
    });
    child.on('error', (cause) => {
      const missing = errnoOf(cause) === 'ENOENT';
      reject(
        new SlipwayError(
          missing ? 'E_MISSING_PROGRAM' : 'E_UNAUTHORIZED',
          `the credential helper docker-credential-${name} ${missing ? 'is not on PATH' : 'cannot be run'}`,
          { hint: 'install it, or take it out of the docker config file', cause },
        ),
      );
    });
    child.on('close', (code) => resolve({ code, output }));
    child.stdin.on('error', () => {}); // a helper that ends without reading says so with its exit code
    child.stdin.end(input);
  });
}

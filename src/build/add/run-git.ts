import { spawn } from 'node:child_process';
import { errnoOf, SlipwayError } from '../../base/errors.js';
import { redact } from '../../base/redact.js';

const STDERR_KEPT = 4000;

/** Settings of every call: nothing that a repository or this machine's configuration says is run. */
const SETTINGS: readonly string[] = [
  'core.hooksPath=/dev/null',
  'core.attributesFile=/dev/null',
  'core.fsmonitor=false',
  'core.autocrlf=false',
  'core.symlinks=true',
  'core.logAllRefUpdates=false',
  'init.templateDir=',
  'init.defaultBranch=main',
  'submodule.recurse=false',
  'fetch.recurseSubmodules=false',
  'transfer.bundleURI=false',
  'gc.auto=0',
  'maintenance.auto=false',
  'advice.detachedHead=false',
  'credential.helper=',
  'protocol.version=2',
  'http.lowSpeedLimit=1000',
  'http.lowSpeedTime=60',
];

export interface GitCall {
  readonly args: readonly string[];
  /** For errors: `fetching https://…`. */
  readonly doing: string;
  /** `user:password` for http(s) requests to this URL. */
  readonly credentials?: { readonly url: string; readonly userinfo: string } | undefined;
  /** Given each piece of standard output; default: it is collected. Throwing ends the program. */
  readonly onOutput?: (piece: Buffer) => void;
  readonly signal: AbortSignal;
}

/**
 * Runs `git` shut in: no configuration of this machine or user, no hooks, filters, prompts or credential helpers, only the protocols http, https,
 * git and ssh. Credentials are in its environment, never on its command line.
 * @returns its standard output. @throws SlipwayError E_COPY with git's last words, E_MISSING_PROGRAM.
 */
export function runGit({ args, doing, credentials, onOutput, signal }: GitCall): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn('git', [...SETTINGS.flatMap((setting) => ['-c', setting]), ...args], {
      env: environment(credentials),
      stdio: ['ignore', 'pipe', 'pipe'],
      signal,
      killSignal: 'SIGKILL',
    });
    const output: Buffer[] = [];
    let stderr = '';
    let failure: unknown;
    child.stdout.on('data', (piece: Buffer) => {
      if (onOutput === undefined) output.push(piece);
      else if (failure === undefined) {
        try {
          onOutput(piece);
        } catch (error) {
          failure = error;
          child.kill('SIGKILL');
        }
      }
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr = (stderr + text).slice(-STDERR_KEPT);
    });
    child.once('error', (error) => {
      failure ??= signal.aborted
        ? signal.reason
        : errnoOf(error) === 'ENOENT'
          ? new SlipwayError('E_MISSING_PROGRAM', `the program git is needed for ${doing} and is not installed`, {
              hint: 'install it, on Debian: apt install git',
              cause: error,
            })
          : error;
    });
    child.once('close', (code) => {
      if (failure !== undefined) reject(failure);
      else if (code === 0) resolve(Buffer.concat(output).toString('utf8'));
      else reject(new SlipwayError('E_COPY', `${doing}: ${lastWords(stderr) || `git ended with exit code ${code}`}`));
    });
  });
}

function environment(credentials: GitCall['credentials']): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(([name]) => !name.startsWith('GIT_') && name !== 'SSH_ASKPASS');
  return {
    ...Object.fromEntries(kept),
    LC_ALL: 'C',
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_CONFIG_SYSTEM: '/dev/null',
    GIT_CONFIG_GLOBAL: '/dev/null',
    GIT_ATTR_NOSYSTEM: '1',
    GIT_ALLOW_PROTOCOL: 'http:https:git:ssh',
    GIT_TERMINAL_PROMPT: '0',
    GIT_ASKPASS: '',
    SSH_ASKPASS: '',
    GIT_SSH_COMMAND: 'ssh -oBatchMode=yes -oConnectTimeout=30 -oServerAliveInterval=15',
    GIT_LFS_SKIP_SMUDGE: '1',
    GIT_NO_REPLACE_OBJECTS: '1',
    ...(credentials === undefined
      ? {}
      : {
          GIT_CONFIG_COUNT: '1',
          GIT_CONFIG_KEY_0: `http.${new URL(credentials.url).origin}/.extraHeader`,
          GIT_CONFIG_VALUE_0: `Authorization: Basic ${Buffer.from(credentials.userinfo).toString('base64')}`,
        }),
  };
}

/** What git said last, on one line, without credentials. */
function lastWords(stderr: string): string {
  const lines = stderr.split(/[\r\n]+/).filter((line) => line.trim() !== '');
  const fatal = lines.filter((line) => /^(?:fatal|error|remote|ERROR):/.test(line));
  return redact((fatal.length > 0 ? fatal : lines).slice(-3).join('; '));
}

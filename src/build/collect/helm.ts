import { spawn } from 'node:child_process';
import { constants } from 'node:fs';
import { access, mkdir, stat, writeFile } from 'node:fs/promises';
import { delimiter, dirname, isAbsolute, join } from 'node:path';
import { fileSystemError, isSlipwayError, messageOf, SlipwayError } from '../../base/errors.js';
import { makeDirectory } from '../../base/make-directory.js';
import { removeTree } from '../../base/remove-tree.js';
import type { ChartFiles } from './chart-files.js';

/** The program `helm` of this machine. */
export interface Helm {
  readonly program: string;
  /** Changes when another helm is installed. */
  readonly identity: string;
  /** Words before the program that take its network away; empty where that cannot be done. */
  readonly wrapper: (workspace: string) => readonly string[];
}

export interface RenderRequest {
  readonly files: ChartFiles;
  /** The chart, for messages. */
  readonly where: string;
  /** Names the release; charts put it into the names of what they make. */
  readonly name: string;
  /** Contents of values files, later ones win. */
  readonly values: readonly Buffer[];
  /** `v1.29.2`: what `.Capabilities.KubeVersion` says. */
  readonly kubeVersion: string | undefined;
  /** A new directory of the caller's that is removed afterwards. */
  readonly workspace: string;
  readonly signal: AbortSignal;
}

/** Milliseconds that a chart may take. */
const TIME_LIMIT = 60_000;
const OUTPUT_LIMIT = 64 * 1024 * 1024;
const MESSAGE_LIMIT = 8192;

/** Looks for helm on PATH. */
export async function findHelm(env: NodeJS.ProcessEnv = process.env): Promise<Helm | undefined> {
  const program = await findProgram('helm', env);
  if (program === undefined) return undefined;
  const { size, mtimeMs, ino } = await stat(program);
  const bwrap = await findProgram('bwrap', env);
  const sandboxed = bwrap !== undefined && (await succeeds(bwrap, [...sandbox('/tmp'), '/bin/true']));
  return {
    program,
    identity: `${program} ${size} ${mtimeMs} ${ino}`,
    wrapper: (workspace) => (sandboxed && bwrap !== undefined ? [bwrap, ...sandbox(workspace)] : []),
  };
}

/**
 * `helm template` of a chart, in a directory of its own: no plugins, repositories, caches or cluster of the person who builds, and no network
 * (rendering needs none; where bwrap works, it gets none either).
 * @returns the manifests as one YAML stream, each with a `# Source:` line.
 * @throws SlipwayError E_RUN_FAILED naming the chart, with what helm said; E_TIMEOUT.
 */
export async function renderChart(helm: Helm, request: RenderRequest): Promise<string> {
  const { files, where, name, values, kubeVersion, workspace, signal } = request;
  const chart = join(workspace, 'chart');
  try {
    await layOut(chart, files, where);
    const valueFiles: string[] = [];
    for (const [index, bytes] of values.entries()) {
      valueFiles.push(join(workspace, `values-${index}.yaml`));
      await writeFile(join(workspace, `values-${index}.yaml`), bytes);
    }
    const args = [
      'template',
      releaseName(name),
      chart,
      '--namespace',
      'default',
      ...valueFiles.flatMap((file) => ['--values', file]),
      ...(kubeVersion === undefined ? [] : ['--kube-version', kubeVersion]),
    ];
    return await runHelm([...helm.wrapper(workspace), helm.program, ...args], where, workspace, signal);
  } finally {
    await removeTree(workspace);
  }
}

/** An archive may hold a file and something inside it, or names no file can have. */
async function layOut(dir: string, files: ChartFiles, where: string): Promise<void> {
  try {
    await mkdir(dir);
    for (const [path, bytes] of files) {
      const file = join(dir, path);
      await makeDirectory(dirname(file));
      await writeFile(file, bytes);
    }
  } catch (error) {
    const failure = fileSystemError(error, `laying out ${where}`);
    if (isSlipwayError(failure)) throw failure;
    throw new SlipwayError('E_BAD_ARCHIVE', `${where}: its files cannot be laid out: ${messageOf(error)}`, {
      cause: error,
    });
  }
}

async function runHelm(
  words: readonly string[],
  where: string,
  workspace: string,
  signal: AbortSignal,
): Promise<string> {
  const [program = 'helm', ...args] = words;
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      cwd: workspace,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: helmEnvironment(workspace),
      signal,
      killSignal: 'SIGKILL',
    });
    const output: Buffer[] = [];
    let size = 0;
    let said = '';
    let stopped: SlipwayError | undefined;
    const stop = (error: SlipwayError): void => {
      stopped ??= error;
      child.kill('SIGKILL');
    };
    const timer = setTimeout(() => {
      stop(new SlipwayError('E_TIMEOUT', `${where}: helm template took more than ${TIME_LIMIT / 1000} seconds`));
    }, TIME_LIMIT);
    child.stdout.on('data', (chunk: Buffer) => {
      size += chunk.length;
      if (size > OUTPUT_LIMIT)
        stop(new SlipwayError('E_UNSUPPORTED', `${where}: helm template printed more than ${OUTPUT_LIMIT} bytes`));
      else output.push(chunk);
    });
    child.stderr.on('data', (chunk: Buffer) => {
      if (said.length < MESSAGE_LIMIT) said += chunk.toString('utf8');
    });
    child.on('error', (cause) => {
      clearTimeout(timer);
      if (signal.aborted) reject(signal.reason);
      else reject(new SlipwayError('E_RUN_FAILED', `${where}: cannot run helm: ${messageOf(cause)}`, { cause }));
    });
    child.on('close', (code) => {
      clearTimeout(timer);
      if (stopped !== undefined) reject(stopped);
      else if (code === 0) resolve(Buffer.concat(output).toString('utf8'));
      else reject(renderFailure(where, code, said.replaceAll(`${workspace}/`, '').trim()));
    });
  });
}

function renderFailure(where: string, code: number | null, said: string): SlipwayError {
  const values = where.replace(/\.(?:tgz|tar\.gz)$/, '');
  return new SlipwayError('E_RUN_FAILED', `${where}: helm template ended with ${code}: ${said || 'it said nothing'}`, {
    hint: `give it the values that it is installed with, in ${values}.values.yaml; or read it without helm (--charts scan), or leave charts out (--charts ignore) and name their images in an image list`,
  });
}

/** Nothing of the caller's but where programs are; HOME and helm's directories are in the workspace and empty. */
function helmEnvironment(workspace: string): NodeJS.ProcessEnv {
  const home = join(workspace, 'home');
  return {
    PATH: process.env.PATH,
    HOME: home,
    TMPDIR: workspace,
    XDG_CACHE_HOME: join(home, 'cache'),
    XDG_CONFIG_HOME: join(home, 'config'),
    XDG_DATA_HOME: join(home, 'data'),
    HELM_CACHE_HOME: join(home, 'cache'),
    HELM_CONFIG_HOME: join(home, 'config'),
    HELM_DATA_HOME: join(home, 'data'),
    HELM_PLUGINS: join(home, 'plugins'),
    HELM_DRIVER: 'memory',
    KUBECONFIG: '/dev/null',
  };
}

function sandbox(workspace: string): string[] {
  return [
    ...['--ro-bind', '/', '/', '--dev', '/dev', '--proc', '/proc'],
    ...['--bind', workspace, workspace],
    ...['--unshare-net', '--unshare-ipc', '--unshare-pid', '--new-session', '--die-with-parent', '--'],
  ];
}

/** Helm takes DNS labels of at most 53 characters. */
function releaseName(name: string): string {
  const clean = name
    .toLowerCase()
    .replace(/[^a-z0-9-]+/g, '-')
    .slice(0, 53)
    .replace(/^-+|-+$/g, '');
  return clean === '' ? 'release' : clean;
}

async function findProgram(name: string, env: NodeJS.ProcessEnv): Promise<string | undefined> {
  for (const dir of (env.PATH ?? '').split(delimiter)) {
    if (!isAbsolute(dir)) continue;
    const file = join(dir, name);
    try {
      await access(file, constants.X_OK);
      if ((await stat(file)).isFile()) return file;
    } catch {
      // not here
    }
  }
  return undefined;
}

function succeeds(program: string, args: readonly string[]): Promise<boolean> {
  return new Promise((resolve) => {
    const child = spawn(program, args, { stdio: 'ignore' });
    child.on('error', () => resolve(false));
    child.on('close', (code) => resolve(code === 0));
  });
}

import { resolve } from 'node:path';
import { fileSystemError, SlipwayError } from '../../base/errors.js';
import { canOwn } from '../../base/id-map.js';
import { runWithBwrap } from './bwrap-engine.js';
import type { EngineResult, EngineRun } from './engine.js';
import { checkEnvironment } from './environment.js';
import type { Ending } from './launcher.js';
import { placeRequest } from './placement.js';
import { findProgram, requireProgram } from './programs.js';
import type { SandboxUser } from './rootfs-user.js';
import { inRunDirectory } from './run-directory.js';
import { runWithRunc } from './runc-engine.js';
import type { SandboxRequest, SandboxResult } from './sandbox-request.js';
import { statOf } from './stat-of.js';

/** The kernel takes no longer single argument (MAX_ARG_STRLEN without its NUL). In bytes. */
const MAX_ARGUMENT = 131_071;

interface Engine {
  readonly name: SandboxResult['engine'];
  readonly program: string;
  readonly run: (run: EngineRun) => Promise<EngineResult>;
}

/**
 * Runs one command with nothing of the machine in its reach but the rootfs and what the request gives. When it returns or
 * throws, every process of the sandbox has ended, mount points and secrets are gone from the rootfs, and the run's files from
 * the scratch directory. If slipway is killed, the processes end too; the rootfs may then keep empty mount points and the
 * scratch directory a `run-*` directory.
 *
 * Host mode is bwrap. Container mode is runc, or bwrap when there is no runc, it cannot work here, or we are not root.
 * @throws SlipwayError E_TIMEOUT, E_INTERRUPTED (abort), E_MISSING_PROGRAM, E_PERMISSION (this machine allows no sandbox),
 *   E_MOUNT, E_NOT_FOUND (mount source, user), E_USAGE (arguments or environment that no process can have), E_UNSUPPORTED
 */
export async function runSandboxed(given: SandboxRequest): Promise<SandboxResult> {
  const request = { ...given, rootfs: resolve(given.rootfs), scratch: resolve(given.scratch) };
  checkArguments(request.argv);
  checkEnvironment(request.env);
  checkDirectories(request);
  const engines = enginesFor(request);
  const deadline = request.timeoutMs === undefined ? undefined : performance.now() + request.timeoutMs;
  try {
    const placement = placeRequest(request);
    try {
      checkUser(request, placement.user);
      let last: Ending | undefined;
      for (const { name, program, run } of engines) {
        const { ending, code } = await inRunDirectory(request, (runDirectory) =>
          run({ program, request, placement, runDirectory, timeoutMs: deadline && deadline - performance.now() }),
        );
        checkStopped(request, ending);
        if (ending.signal !== undefined) return { code: ending.code, signal: ending.signal, engine: name };
        if (code !== undefined) return { code, engine: name };
        last = ending;
      }
      throw setupError(last);
    } finally {
      placement.remove();
    }
  } catch (error) {
    throw fileSystemError(error, 'preparing the sandbox of a RUN command');
  }
}

/** The engines to try, best first. Another one is tried only when the command has not been started. */
function enginesFor({ isolation }: SandboxRequest): readonly Engine[] {
  const engines: Engine[] = [];
  const runc = isolation === 'container' && process.getuid?.() === 0 ? findProgram('runc') : undefined;
  if (runc !== undefined) engines.push({ name: 'runc', program: runc, run: runWithRunc });
  const bwrap = findProgram('bwrap');
  if (bwrap !== undefined) {
    const engine: Engine = { name: 'bwrap', program: bwrap, run: runWithBwrap };
    engines.push(engine);
    // A file of the machine that is to be covered may go between the look at it and the mount: then it is looked again.
    if (isolation === 'host') engines.push(engine);
  }
  if (engines.length === 0) requireProgram('bwrap', `RUN in ${isolation} isolation`);
  return engines;
}

function checkArguments(argv: readonly string[]): void {
  if (argv[0] === undefined || argv[0] === '') throw new SlipwayError('E_USAGE', 'RUN has no command');
  if (argv.some((word) => word.includes('\0')))
    throw new SlipwayError('E_USAGE', 'cannot run a command that has a NUL byte in it');
  if (argv.some((word) => Buffer.byteLength(word) > MAX_ARGUMENT))
    throw new SlipwayError(
      'E_USAGE',
      `cannot run a command of more than ${MAX_ARGUMENT} bytes: the kernel refuses it`,
      {
        hint: 'COPY it as a script file and RUN that',
      },
    );
}

/** In a user namespace there are only the users that it maps. */
function checkUser({ user }: SandboxRequest, { uid, gid }: SandboxUser): void {
  if (process.getuid?.() !== 0 || canOwn(uid, gid)) return;
  throw new SlipwayError(
    'E_UNSUPPORTED',
    `cannot run as user ${user} (${uid}:${gid}): this user has no such id to use`,
    {
      hint: 'give the user subordinate ids (usermod --add-subuids and --add-subgids, package uidmap), build as root, or use USER root',
    },
  );
}

function checkDirectories({ rootfs, scratch }: SandboxRequest): void {
  for (const path of [rootfs, scratch])
    if (statOf(path)?.isDirectory() !== true)
      throw new SlipwayError('E_NOT_FOUND', `cannot make the sandbox of a RUN command: ${path} is not a directory`);
}

function checkStopped(request: SandboxRequest, { stopped }: Ending): void {
  const command = request.argv.join(' ').slice(0, 80);
  if (stopped === 'timeout')
    throw new SlipwayError('E_TIMEOUT', `RUN ${command}: killed after ${request.timeoutMs} ms`);
  if (stopped === 'abort')
    throw new SlipwayError('E_INTERRUPTED', `RUN ${command}: interrupted`, { cause: request.signal?.reason });
}

function setupError(ending: Ending | undefined): SlipwayError {
  const lines = ending?.errorTail.trim().split('\n').slice(-3).join('; ') ?? '';
  const reason = lines === '' ? `it ended with code ${ending?.code}` : lines;
  const refused = /not permitted|permission denied/i.test(reason);
  return new SlipwayError(refused ? 'E_PERMISSION' : 'E_MOUNT', `cannot make the sandbox of a RUN command: ${reason}`, {
    hint: setupHint(reason),
  });
}

function setupHint(reason: string): string {
  if (/(unknown|unrecognized) option/i.test(reason))
    return 'bubblewrap 0.8 and util-linux 2.32, or newer, are needed: apt-get install bubblewrap util-linux';
  return process.getuid?.() === 0
    ? 'namespaces and mounts are needed: a container has them when it is started with --privileged'
    : 'build as root, or allow user namespaces (sysctl kernel.unprivileged_userns_clone=1, kernel.apparmor_restrict_unprivileged_userns=0)';
}

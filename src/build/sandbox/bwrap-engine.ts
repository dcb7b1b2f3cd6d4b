import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { SlipwayError } from '../../base/errors.js';
import { seccompProgram } from '../../base/seccomp-filter.js';
import { confinement, type PlacedMount } from './bwrap-arguments.js';
import { containerCapabilities, HOST_CAPABILITIES } from './capabilities.js';
import { containerView } from './container-view.js';
import { type EngineResult, type EngineRun, NOT_EXECUTABLE, NOT_FOUND } from './engine.js';
import { containerEnvironment, hostEnvironment } from './environment.js';
import { HOST_HOME, HOST_ROOTFS, hostView, PRIVATE_DIRECTORIES } from './host-view.js';
import { BWRAP_SCRIPT } from './launch-script.js';
import { launch } from './launcher.js';
import { rootsFile } from './memory-files.js';
import { networkFileMounts } from './network-files.js';
import { requireProgram } from './programs.js';
import type { SandboxUser } from './rootfs-user.js';
import { keepSecretsInMemory, readResult } from './run-directory.js';

/**
 * Runs a command with bwrap, in either mode.
 * @throws SlipwayError E_UNSUPPORTED for another user than root in container mode: bwrap cannot change to one
 */
export async function runWithBwrap(run: EngineRun): Promise<EngineResult> {
  const { program, request, placement, runDirectory, timeoutMs } = run;
  const inside = (name: string): string => join(runDirectory, name);
  const { mounts, files } = keepSecretsInMemory(placement.mounts, runDirectory);
  const { argv, options } = request.isolation === 'host' ? amongHost(run, mounts) : inContainer(run, mounts);
  const words = [...options, '--chdir', placement.cwd];
  await writeFile(inside('seccomp'), seccompProgram());
  const ending = await launch({
    runDirectory,
    script: BWRAP_SCRIPT,
    files: [...files, rootsFile('arguments', words.map((word) => `${word}\0`).join(''))],
    command: [program, '--args', '5', '--', ...argv],
    onOutput: request.onOutput,
    timeoutMs,
    signal: request.signal,
  });
  // bwrap reports a code only of a command that it could start.
  const code = /"exit-code":\s*(\d+)/.exec((await readResult(inside('status'))) ?? '')?.[1];
  return { ending, code: code === undefined ? execFailure(ending.errorTail) : Number(code) };
}

interface Command {
  readonly argv: readonly string[];
  /** bwrap's. */
  readonly options: readonly string[];
}

function amongHost({ request, placement, runDirectory }: EngineRun, mounts: readonly PlacedMount[]): Command {
  const { rootfs, network, argv, hide = [] } = request;
  const { user } = placement;
  const environment = hostEnvironment(request.env, process.env, {
    home: HOST_HOME,
    hidden: PRIVATE_DIRECTORIES,
    rootfsBin: `${HOST_ROOTFS}/bin`,
  });
  const view = hostView({ rootfs, runDirectory, hide, mounts, homeForAll: user.uid !== 0 });
  return {
    options: [...confinement(environment, HOST_CAPABILITIES, network), ...view],
    argv: user.uid === 0 && user.gid === 0 ? argv : [...becomeUser(user), ...argv],
  };
}

function inContainer({ request, placement, runDirectory }: EngineRun, mounts: readonly PlacedMount[]): Command {
  const { rootfs, network, argv } = request;
  const { user } = placement;
  if (user.uid !== 0 || user.gid !== 0)
    throw new SlipwayError('E_UNSUPPORTED', `cannot run as user ${request.user} in a container without runc`, {
      hint: 'install it (apt-get install runc), or use USER root',
    });
  const environment = containerEnvironment(request.env, process.env, user.home);
  const networkFiles = networkFileMounts(runDirectory, placement.networkPlaces);
  return {
    options: [
      ...confinement(environment, containerCapabilities(network), network),
      ...containerView({ rootfs, runDirectory, networkFiles, mounts }),
    ],
    argv,
  };
}

/** Drops to another user among the machine's programs. The kernel takes every capability away on the way. */
function becomeUser({ uid, gid, groups }: SandboxUser): readonly string[] {
  const others = groups.length === 0 ? '--clear-groups' : `--groups=${groups.join(',')}`;
  return [requireProgram('setpriv', 'RUN as another user'), `--reuid=${uid}`, `--regid=${gid}`, others, '--'];
}

function execFailure(errorText: string): number | undefined {
  const reason = /^bwrap: execvp .*: (.*)$/m.exec(errorText)?.[1];
  if (reason === undefined) return undefined;
  return reason === 'No such file or directory' ? NOT_FOUND : NOT_EXECUTABLE;
}

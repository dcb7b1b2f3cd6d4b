import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { containerCapabilities } from './capabilities.js';
import { type EngineResult, type EngineRun, NOT_EXECUTABLE, NOT_FOUND } from './engine.js';
import { containerEnvironment } from './environment.js';
import { RUNC_SCRIPT } from './launch-script.js';
import { launch } from './launcher.js';
import { inMemory, rootsFile } from './memory-files.js';
import { networkFileMounts } from './network-files.js';
import { ociConfig } from './oci-bundle.js';
import { keepSecretsInMemory, readResult } from './run-directory.js';

/** Runs a container mode command with runc, from a generated OCI bundle. */
export async function runWithRunc({
  program,
  request,
  placement,
  runDirectory,
  timeoutMs,
}: EngineRun): Promise<EngineResult> {
  const { user, cwd, networkPlaces } = placement;
  const { rootfs, argv, network } = request;
  const inside = (name: string): string => join(runDirectory, name);
  const { mounts, files } = keepSecretsInMemory(placement.mounts, runDirectory);
  const config = ociConfig({
    rootfs,
    argv,
    environment: containerEnvironment(request.env, process.env, user.home),
    cwd,
    user,
    network,
    capabilities: containerCapabilities(network),
    mounts: [...networkFileMounts(runDirectory, networkPlaces), ...mounts],
  });
  // The state is in the memory of the mount namespace: nothing of a killed run is left for the next one to trip over.
  const options = [
    '--rootless=true',
    '--root',
    inside('private/runc'),
    '--log',
    inside('runc.log'),
    '--log-format',
    'json',
  ];
  const run = ['run', '--bundle', inMemory(runDirectory, 'bundle'), '--pid-file', inside('started')];
  const name = `slipway-${randomBytes(8).toString('hex')}`;
  const ending = await launch({
    runDirectory,
    script: RUNC_SCRIPT,
    files: [...files, rootsFile('bundle/config.json', JSON.stringify(config))],
    command: [program, ...options, ...run, name],
    onOutput: request.onOutput,
    timeoutMs,
    signal: request.signal,
  });
  // runc writes the pid file once the command has been started.
  if ((await readResult(inside('started'))) !== undefined) return { ending, code: ending.code };
  return { ending, code: execFailure((await readResult(inside('runc.log'))) ?? '') };
}

/** As a shell has it, when all was well but the program: runc says so in its log (JSON, hence the backslashes). */
function execFailure(log: string): number | undefined {
  if (/exec: \\"[^"]*\\": (executable file not found|stat [^"]*: no such file)/.test(log)) return NOT_FOUND;
  return /exec: \\"[^"]*\\": (permission denied|is a directory)/.test(log) ? NOT_EXECUTABLE : undefined;
}

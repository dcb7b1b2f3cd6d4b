import type { Command } from 'commander';
import { isSlipwayError, SlipwayError } from '../base/errors.js';
import { isDigest } from '../image/digest.js';
import { type Platform, parsePlatform } from '../image/platform.js';
import { parseReference } from '../image/reference.js';
import { planCluster, type RunClusterOptions } from '../install/run-cluster.js';
import type { ClusterSpec } from '../install/spec/cluster-spec.js';
import { envFromFlags, specFromFlags } from '../install/spec/spec-from-flags.js';
import { statePaths } from '../install/state/cluster-paths.js';
import { readClusterState } from '../install/state/cluster-state.js';
import { reachedAsBefore } from '../install/state/spec-from-state.js';
import type { InstallDeps } from '../install/survey.js';
import { findImage } from '../store/local-image.js';
import { addGlobalFlags, repeatable } from './action.js';
import type { CliContext } from './context.js';
import { wholeNumber } from './flag-values.js';
import { addHostFlags, type HostFlags, hostConnector, sshFlags } from './ssh-flags.js';

/** The flags of commands that launch a cluster, or plan to. */
export interface LaunchFlags extends HostFlags, PaceFlags {
  readonly file?: string;
  readonly masters?: string;
  readonly nodes?: string;
  readonly env?: readonly string[];
  readonly cmd?: readonly string[];
  readonly app?: readonly string[];
  readonly cluster?: string;
  readonly fromScratch?: boolean;
  readonly setUpAgain?: boolean;
  readonly platform?: string;
}

/** What is to be launched, and how. */
export interface LaunchRequest {
  readonly spec: ClusterSpec;
  readonly options: RunClusterOptions;
  readonly deps: InstallDeps;
}

export function addLaunchFlags(command: Command): Command {
  command
    .argument('[image]', 'a name, or the beginning of an id; with -f the one that the Clusterfile names')
    .option('-f, --file <file>', 'a Clusterfile, which says all that is wanted; - reads standard input')
    .option('--masters <ips>', 'control-plane hosts: 10.0.0.2,10.0.0.3 or 10.0.0.2-10.0.0.4')
    .option('--nodes <ips>', 'worker hosts, in the same form')
    .option('-e, --env <name=value>', 'a variable for scripts and templates; may be given several times', repeatable)
    .option('--cmd <command>', "a launch command instead of the image's; may be given several times", repeatable)
    .option(
      '--app <name>',
      'an application to start instead of those that the image starts; may be given several times',
      repeatable,
    )
    .option('--cluster <name>', 'the name of the cluster (default: my-cluster)')
    .option('--from-scratch', 'forget what earlier runs did; what the hosts say counts all the same')
    .option(
      '--set-up-again',
      'set nodes up anew, one after the other: puts back installed files that were changed by hand',
    )
    .option('--platform <os/arch>', 'which image of a multi-platform one (default: this machine)');
  return addGlobalFlags(addHostFlags(addPaceFlags(command)));
}

/** How hosts are worked on, of every command that installs something on them. */
export interface PaceFlags {
  readonly concurrency?: string;
  readonly concurrentUploads?: string;
  readonly fanOut?: boolean;
  readonly readyTimeout?: string;
}

export function addPaceFlags(command: Command): Command {
  return command
    .option('--concurrency <n>', 'hosts worked on at once (default: 10)')
    .option('--concurrent-uploads <n>', 'hosts that receive files from here at once (default: 5, with --fan-out 1)')
    .option('--fan-out', 'hosts that have the files send them on to others: for many hosts behind a slow link')
    .option(
      '--ready-timeout <seconds>',
      'how long nodes may take to become Ready (default: 300); with k3s and k0s also to come up on a host (default there: 600 and 720)',
    );
}

/**
 * Reads what the flags, or the Clusterfile that they name, ask for. An image that is not in the store is pulled.
 * @throws SlipwayError E_USAGE, E_CLUSTERFILE, and of the pull.
 */
export async function launchRequest(
  context: CliContext,
  flags: LaunchFlags,
  image: string | undefined,
): Promise<LaunchRequest> {
  const spec =
    flags.file === undefined ? await fromFlags(context, flags, image) : await fromFile(flags.file, flags, image);
  const options = runOptions(flags);
  await pullIfMissing(context, spec.image, options.platform);
  const { reporter, signal } = context;
  return {
    spec,
    options,
    deps: { store: await context.store(), reporter, signal, connect: hostConnector(context, flags) },
  };
}

/** How a cluster is worked on. @throws SlipwayError E_USAGE */
export function runOptions(
  flags: PaceFlags & Pick<LaunchFlags, 'platform' | 'fromScratch' | 'setUpAgain'>,
): RunClusterOptions {
  const readyTimeout = wholeNumber('--ready-timeout', flags.readyTimeout);
  const concurrency = wholeNumber('--concurrency', flags.concurrency);
  const concurrentUploads = wholeNumber('--concurrent-uploads', flags.concurrentUploads);
  return {
    ...(concurrency === undefined ? {} : { concurrency }),
    ...(concurrentUploads === undefined ? {} : { concurrentUploads }),
    ...(flags.fanOut === true ? { fanOut: true } : {}),
    ...(readyTimeout === undefined ? {} : { readyTimeoutMs: readyTimeout * 1000 }),
    ...(flags.platform === undefined ? {} : { platform: parsePlatform(flags.platform) }),
    fromScratch: flags.fromScratch === true,
    setUpAgain: flags.setUpAgain === true,
    again: 'the same command',
  };
}

/** Prints what would be done. A script that asks whether a launch could begin gets its answer by the exit code. */
export async function printPlan({ json, out }: CliContext, { spec, options, deps }: LaunchRequest): Promise<void> {
  const { document, text } = await planCluster(spec, options, deps);
  if (json) out.json(document);
  else out.line(text.trimEnd());
  if (document.problems.length > 0) process.exitCode = 1;
}

async function fromFlags({ root }: CliContext, flags: LaunchFlags, image: string | undefined): Promise<ClusterSpec> {
  if (image === undefined || flags.masters === undefined) {
    const missing = image === undefined ? 'no image is given' : 'no hosts are given: --masters is missing';
    throw new SlipwayError('E_USAGE', missing, {
      hint: 'give an image and --masters, or a Clusterfile with -f',
    });
  }
  const { nodes, env, cmd, app, cluster, masters } = flags;
  const ssh = await sshFlags(flags);
  const spec = specFromFlags({
    ...ssh,
    image,
    masters,
    nodes,
    ...(env === undefined ? {} : { env }),
    ...(cmd === undefined ? {} : { cmds: cmd }),
    ...(app === undefined ? {} : { apps: app }),
    cluster,
  });
  return reachedAsBefore(spec, await readClusterState(statePaths(root, spec.name)), ssh);
}

async function fromFile(path: string, flags: LaunchFlags, image: string | undefined): Promise<ClusterSpec> {
  if (flags.masters !== undefined || flags.nodes !== undefined) {
    throw new SlipwayError(
      'E_USAGE',
      '--masters and --nodes cannot be given beside -f: the Clusterfile names the hosts',
    );
  }
  const [{ openClusterfile }, { specFromClusterfile }] = await Promise.all([
    import('./clusterfile.js'),
    import('../install/clusterfile/spec-from-clusterfile.js'),
  ]);
  const { file, clusterfile } = await openClusterfile(path);
  return specFromClusterfile(
    clusterfile,
    {
      image,
      name: flags.cluster,
      env: envFromFlags(flags.env ?? []),
      cmds: flags.cmd,
      apps: flags.app,
      ssh: await sshFlags(flags),
    },
    { file, environment: process.env },
  );
}

/** As docker does: an image that is not here is asked for at its registry. A site without internet has it here before. */
export async function pullIfMissing(context: CliContext, image: string, platform: Platform | undefined): Promise<void> {
  const store = await context.store();
  try {
    await findImage(store, image);
  } catch (error) {
    if (!isSlipwayError(error, 'E_NOT_FOUND') || isDigest(image)) throw error;
    const { host } = parseReference(image);
    // A name without a host is Docker Hub's, where nobody keeps the image that was misspelt.
    if (host === undefined) throw error;
    context.reporter.info(`${image} is not in the store: pulling it`);
    const [{ pullImage }, { registryOptions }] = await Promise.all([
      import('../registry/pull.js'),
      import('./registry-flags.js'),
    ]);
    await pullImage(store, image, { ...(await registryOptions(context, {})), platform });
  }
}

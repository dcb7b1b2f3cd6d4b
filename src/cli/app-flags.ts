import type { Command } from 'commander';
import type { AppOptions } from '../install/apps/app-hosts.js';
import { envFromFlags } from '../install/spec/spec-from-flags.js';
import type { InstallDeps } from '../install/survey.js';
import { addGlobalFlags, repeatable } from './action.js';
import type { GivenApplications } from './clusterfile.js';
import type { CliContext } from './context.js';
import { wholeNumber } from './flag-values.js';
import { addHostFlags, type HostFlags, hostConnector, sshFlags } from './ssh-flags.js';

/** The flags that commands for applications have in common. */
export interface AppFlags extends HostFlags {
  readonly cluster?: string;
  readonly file?: string;
  readonly cmd?: readonly string[];
  readonly env?: readonly string[];
  readonly concurrency?: string;
}

export function addAppFlags(command: Command): Command {
  command
    .option('--cluster <name>', 'the cluster (default: the only one that is known here)')
    .option('-e, --env <name=value>', 'a variable for commands and templates; may be given several times', repeatable)
    .option('--concurrency <n>', 'hosts worked on at once (default: 10)');
  return addGlobalFlags(addHostFlags(command));
}

/** What the flags say, and the Clusterfile that they name. */
export interface AppRequest {
  readonly cluster: string;
  readonly file: GivenApplications | undefined;
  readonly env: Readonly<Record<string, string>>;
  readonly options: AppOptions;
  readonly deps: InstallDeps;
}

/** @throws SlipwayError E_USAGE, E_CLUSTERFILE, and E_NOT_FOUND when there is no such cluster. */
export async function appRequest(context: CliContext, flags: AppFlags): Promise<AppRequest> {
  const [{ chooseCluster }, { openApplicationFile }] = await Promise.all([
    import('../install/state/known-clusters.js'),
    import('./clusterfile.js'),
  ]);
  const { reporter, signal } = context;
  const env = envFromFlags(flags.env ?? []);
  const file = flags.file === undefined ? undefined : await openApplicationFile(flags.file, env);
  const { name } = await chooseCluster(context.root, flags.cluster ?? file?.clusterName);
  const concurrency = wholeNumber('--concurrency', flags.concurrency);
  return {
    cluster: name,
    file,
    env,
    options: {
      ssh: await sshFlags(flags),
      ...(concurrency === undefined ? {} : { concurrency }),
      again: 'the same command',
    },
    deps: { store: await context.store(), reporter, signal, connect: hostConnector(context, flags) },
  };
}

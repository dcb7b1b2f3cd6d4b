import type { Host } from '../../hosts/host.js';
import type { Digest } from '../../image/digest.js';
import { applicationVariables } from '../cluster-hosts/host-env.js';
import type { WantedEntry } from '../files/rootfs.js';
import type { AskedMaster } from '../phases/launched-notes.js';
import { inputsDigest } from '../plan/step.js';
import type { AppConfigSpec } from '../spec/cluster-spec.js';
import type { AppState } from '../state/app-state.js';
import { appCommandId } from './app-commands.js';
import type { AppPlaces } from './app-work.js';

/** A command that takes something away. */
export interface DeleteCommand {
  readonly id: string;
  readonly command: string;
  readonly application: string | undefined;
  readonly env: Readonly<Record<string, string>>;
  readonly inputs: Digest;
}

/** What the phases work with that take an application away. */
export interface AppRemoval extends AppPlaces {
  readonly commands: readonly DeleteCommand[];
  /** Undefined when no master answers, and that does not matter. */
  readonly master: AskedMaster | undefined;
  readonly adminKubeconfig: string;
  /** Files that the master lacks and that commands are run among. */
  readonly files: readonly WantedEntry[] | undefined;
  /** Hosts that answer and have, or had, files of it. */
  readonly holders: readonly Host[];
  readonly force: boolean;
  /** Takes the commands that failed. */
  readonly failed: string[];
}

/** What was said about the deletion beside what is known. */
export interface GivenForDeletion {
  /** Instead of all commands. */
  readonly cmds: readonly string[] | undefined;
  readonly appConfigs: readonly AppConfigSpec[];
  readonly env: Readonly<Record<string, string>>;
}

/** The commands that take an application away, last things first, and what none is known for. */
export interface DeleteCommands {
  readonly commands: readonly DeleteCommand[];
  /** For people: `the application tool`. */
  readonly unknown: readonly string[];
}

/**
 * Puts together how an application is taken away. Pure.
 * @param host the variables that all commands on the master get.
 * @param cluster those of them that beat what an application says itself.
 */
export function deleteCommandsOf(
  app: AppState,
  { cmds, appConfigs, env }: GivenForDeletion,
  host: Readonly<Record<string, string>>,
  cluster: Readonly<Record<string, string>>,
): DeleteCommands {
  const common = { ...cluster, ...app.env, ...env };
  const found: Omit<DeleteCommand, 'id' | 'inputs'>[] = [];
  const unknown: string[] = [];
  if (cmds !== undefined) {
    found.push(...cmds.map((command) => ({ command, application: undefined, env: { ...host, ...common } })));
  }
  for (const { application, env: own, delete: kept } of cmds === undefined ? [...app.launched].reverse() : []) {
    const given = appConfigs.find(({ name }) => name === application);
    const commands = given?.delete ?? kept;
    if (commands === undefined) {
      unknown.push(application === undefined ? 'the commands of the image' : `the application ${application}`);
      continue;
    }
    const config = { ...app.appConfigs.find(({ name }) => name === application)?.env, ...given?.env };
    const variables = applicationVariables(host, own, { ...common, ...config, ...env });
    found.push(...commands.map((command) => ({ command, application, env: variables })));
  }
  return {
    commands: found.map((one, index) => ({
      ...one,
      id: appCommandId(app.name, 'delete', index + 1),
      inputs: inputsDigest('delete', app.id, one.command, one.application ?? null),
    })),
    unknown,
  };
}

import { SlipwayError } from '../../base/errors.js';
import { suggest } from '../../base/suggest.js';
import {
  appCommands,
  applicationDir,
  KUBE_VERSION_LABEL,
  kubeVersionRange,
  startCommands,
} from '../../image/applications.js';
import type { Application } from '../../image/cluster-image.js';
import type {
  AppCmdsInstruction,
  AppEnvInstruction,
  Instruction,
  KubeVersionInstruction,
  LaunchInstruction,
} from '../../kubefile-parser/ast.js';
import type { StageState } from '../stages/stage.js';
import type { ExpandWord } from '../variables/expand.js';

/**
 * What LAUNCH, CMDS, APPCMDS, APPENV and KUBEVERSION change.
 * @returns undefined when the instruction is of another kind.
 * @throws SlipwayError E_NOT_FOUND for an application that the image does not have; E_USAGE for commands that would run before the
 * applications of a base image; E_INVALID_REFERENCE for a constraint that is none.
 */
export function launchChange(
  state: StageState,
  instruction: Instruction,
  expand: ExpandWord,
): Partial<StageState> | undefined {
  switch (instruction.kind) {
    case 'LAUNCH':
      return { appNames: launched(state, instruction) };
    case 'CMDS':
      refuseAfterLaunch(state, 'CMDS');
      return { launchCmds: [...state.launchCmds, ...instruction.commands] };
    case 'APPCMDS':
      return { applications: withCommands(state, instruction, expand) };
    case 'APPENV':
      return { applications: withEnv(state, instruction, expand) };
    case 'KUBEVERSION':
      return { labels: { ...state.labels, [KUBE_VERSION_LABEL]: constraint(instruction, expand) } };
    default:
      return undefined;
  }
}

/**
 * Commands run before applications are started. Behind applications that a base image starts, CMD would not be what it looks like.
 * @throws SlipwayError E_USAGE that says how it is written instead.
 */
export function refuseAfterLaunch({ appNames }: StageState, kind: 'CMD' | 'CMDS'): void {
  if (appNames.length === 0) return;
  throw new SlipwayError(
    'E_USAGE',
    `${kind} and LAUNCH exclude each other, and the base image launches ${appNames.join(', ')}`,
    {
      hint: `make the command an application: APP NAME local://FILES, APPCMDS NAME ["command"], LAUNCH ["${appNames.join('", "')}", "NAME"]`,
    },
  );
}

/** LAUNCH says all that is launched: what a base image launches is named again, or is not launched. As in sealer. */
function launched({ applications }: StageState, { apps }: LaunchInstruction): readonly string[] {
  const twice = apps.find((name, index) => apps.indexOf(name) !== index);
  if (twice !== undefined) throw new SlipwayError('E_USAGE', `LAUNCH names ${JSON.stringify(twice)} twice`);
  for (const name of apps) {
    const app = findApplication(applications, name, 'LAUNCH');
    if (startCommands(app).length === 0) throw noCommands(app);
  }
  return apps;
}

function withCommands(state: StageState, instruction: AppCmdsInstruction, expand: ExpandWord): readonly Application[] {
  const commands = appCommands(instruction.commands);
  if (commands.some((command) => command.trim() === ''))
    throw new SlipwayError('E_USAGE', 'APPCMDS has an empty command', { hint: 'write APPCMDS NAME ["command"]' });
  return changed(state, expand(instruction.name), 'APPCMDS', (app) => ({ ...app, cmds: [...commands] }));
}

/** Variables are added to those an application has, inherited ones too; sealer drops the inherited ones. */
function withEnv(state: StageState, instruction: AppEnvInstruction, expand: ExpandWord): readonly Application[] {
  const pairs = instruction.pairs.map(({ key, value }) => [expand(key), expand(value)] as const);
  const bad = pairs.find(([name]) => !/^[A-Za-z_]\w*$/.test(name));
  if (bad !== undefined)
    throw new SlipwayError('E_USAGE', `APPENV: ${JSON.stringify(bad[0])} is not the name of a variable`, {
      hint: 'letters, digits and "_"; the commands of the application get it in their environment',
    });
  return changed(state, expand(instruction.name), 'APPENV', (app) => ({
    ...app,
    env: { ...app.env, ...Object.fromEntries(pairs) },
  }));
}

function changed(
  { applications }: StageState,
  name: string,
  instruction: string,
  change: (app: Application) => Application,
): readonly Application[] {
  const found = findApplication(applications, name, instruction);
  return applications.map((app) => (app === found ? change(app) : app));
}

function findApplication(applications: readonly Application[], name: string, instruction: string): Application {
  const found = applications.find((app) => app.name === name);
  if (found !== undefined) return found;
  const names = applications.map((app) => app.name);
  const near = suggest(name, names);
  throw new SlipwayError('E_NOT_FOUND', `${instruction}: there is no application ${JSON.stringify(name)}`, {
    hint:
      near !== undefined
        ? `did you mean ${near}?`
        : names.length === 0
          ? `declare it before: APP ${name || 'NAME'} local://PATH`
          : `declare it before with APP; there are ${names.join(', ')}`,
  });
}

/** @throws SlipwayError E_USAGE for an application of a finished image that nothing says how to start, as in sealer. */
export function checkApplications(applications: readonly Application[]): void {
  const mute = applications.find((app) => startCommands(app).length === 0);
  if (mute !== undefined) throw noCommands(mute);
}

/** The error for an application that nobody knows how to start. */
export function noCommands({ name }: Pick<Application, 'name'>): SlipwayError {
  return new SlipwayError(
    'E_USAGE',
    `nothing says how to start the application ${name}: ${applicationDir(name)} is no chart, and not all YAML or all shell scripts`,
    { hint: `say it: APPCMDS ${name} ["command"], for a shell in that directory` },
  );
}

function constraint({ constraint: word }: KubeVersionInstruction, expand: ExpandWord): string {
  const text = expand(word).trim();
  kubeVersionRange(text);
  return text;
}

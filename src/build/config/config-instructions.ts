import type {
  ArgInstruction,
  CmdInstruction,
  EntrypointInstruction,
  EnvInstruction,
  Instruction,
  LabelInstruction,
} from '../../kubefile-parser/ast.js';
import type { CommandLine } from '../../kubefile-parser/parts.js';
import { refuseAfterLaunch } from '../apps/launch.js';
import type { BuildJob } from '../job.js';
import type { StageState } from '../stages/stage.js';
import type { ExpandWord } from '../variables/expand.js';
import { own } from '../variables/variables.js';
import { changeSettings } from './docker-instructions.js';

/**
 * What an instruction changes that makes no layer.
 * @returns undefined when the instruction is of another kind.
 */
export function configChange(
  job: BuildJob,
  state: StageState,
  instruction: Instruction,
  expand: ExpandWord,
): Partial<StageState> | undefined {
  switch (instruction.kind) {
    case 'ARG':
      return { args: declareArgs(job, state, instruction, expand) };
    case 'ENV':
      return { env: { ...state.env, ...pairs(instruction, expand) } };
    case 'LABEL':
      return { labels: { ...state.labels, ...pairs(instruction, expand) } };
    case 'MAINTAINER':
      return { author: instruction.name };
    case 'USER':
      return { user: expand(instruction.user) };
    case 'SHELL':
      return { shell: instruction.shell };
    case 'ENTRYPOINT':
      return entrypoint(state, instruction);
    case 'CMD':
      if (job.kubefile.directives.dialect === 'docker')
        return { cmd: commandArgs(state, instruction.command), ownCmd: true };
      refuseAfterLaunch(state, 'CMD');
      return { launchCmds: [...state.launchCmds, launchText(instruction)] };
    case 'IGNORED':
      return job.kubefile.directives.dialect === 'docker'
        ? { docker: changeSettings(state.docker, instruction, expand) }
        : {};
    default:
      return undefined;
  }
}

/** ARG: `--build-arg` beats the global ARG of the same name, which beats the default; ENV of the same name stays in front of all. */
function declareArgs(
  { buildArgs }: BuildJob,
  state: StageState,
  { args }: ArgInstruction,
  expand: ExpandWord,
): Record<string, string> {
  const declared = new Map(Object.entries(state.args));
  for (const { name: word, default: fallback } of args) {
    const name = expand(word);
    const value = own(buildArgs, name) ?? (fallback === undefined ? own(state.globalArgs, name) : expand(fallback));
    if (value !== undefined) declared.set(name, value);
  }
  return Object.fromEntries(declared);
}

function pairs({ pairs: list }: EnvInstruction | LabelInstruction, expand: ExpandWord): Record<string, string> {
  return Object.fromEntries(list.map(({ key, value }) => [expand(key), expand(value)]));
}

/** As in Docker: a new ENTRYPOINT takes the CMD of the base image away. */
function entrypoint(state: StageState, { command }: EntrypointInstruction): Partial<StageState> {
  const args = commandArgs(state, command);
  return { entrypoint: args.length === 0 ? undefined : args, cmd: state.ownCmd ? state.cmd : undefined };
}

function commandArgs({ shell }: StageState, command: CommandLine): readonly string[] {
  return command.form === 'exec' ? command.args : [...shell, command.text];
}

/** A launch command is a line for the shell of the first master. */
function launchText({ command }: CmdInstruction): string {
  return command.form === 'shell' ? command.text : command.args.map(shellWord).join(' ');
}

function shellWord(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}

import type { FromInstruction, Instruction } from '../kubefile-parser/ast.js';
import type { Mount } from '../kubefile-parser/mount-types.js';
import type { Heredoc, Word } from '../kubefile-parser/parts.js';

/** The words of an instruction that the build expands, in the order of the text. */
export function wordsOf(instruction: FromInstruction | Instruction): readonly Word[] {
  switch (instruction.kind) {
    case 'FROM':
      return present(instruction.platform, instruction.image);
    case 'COPY':
    case 'ADD': {
      const checksum = instruction.kind === 'ADD' ? instruction.checksum : undefined;
      const { chown, chmod, exclude, sources, destination } = instruction;
      return present(chown, chmod, checksum, ...exclude, ...sources, destination);
    }
    case 'RUN':
      return instruction.mounts.flatMap(mountWords);
    case 'BASE':
      return [instruction.dir];
    case 'ARG':
      return instruction.args.flatMap(({ name, default: value }) => present(name, value));
    case 'ENV':
    case 'LABEL':
      return instruction.pairs.flatMap(({ key, value }) => [key, value]);
    case 'APPENV':
      return [instruction.name, ...instruction.pairs.flatMap(({ key, value }) => [key, value])];
    case 'APP':
    case 'CNI':
    case 'CSI':
      return [instruction.name, ...instruction.sources];
    case 'APPCMDS':
      return [instruction.name];
    case 'WORKDIR':
      return [instruction.path];
    case 'USER':
      return [instruction.user];
    case 'KUBEVERSION':
      return [instruction.constraint];
    default:
      return [];
  }
}

/** Heredocs whose content the build expands. */
export function expandedHeredocs(instruction: Instruction): readonly Heredoc[] {
  return instruction.kind === 'COPY' || instruction.kind === 'ADD'
    ? instruction.heredocs.filter(({ expand }) => expand)
    : [];
}

/** What a shell will get: not expanded by the build. */
export function shellTexts(instruction: Instruction): readonly string[] {
  switch (instruction.kind) {
    case 'RUN':
      return [...commandTexts(instruction.command), ...instruction.heredocs.map(({ content }) => content)];
    case 'CMD':
    case 'ENTRYPOINT':
      return commandTexts(instruction.command);
    case 'CMDS':
    case 'APPCMDS':
      return instruction.commands;
    default:
      return [];
  }
}

function commandTexts(command: Extract<Instruction, { kind: 'CMD' }>['command']): readonly string[] {
  return command.form === 'shell' ? [command.text] : command.args;
}

function mountWords(mount: Mount): readonly Word[] {
  return Object.values(mount).filter((value): value is Word => typeof value === 'object' && 'raw' in value);
}

function present(...words: readonly (Word | undefined)[]): readonly Word[] {
  return words.filter((word): word is Word => word !== undefined);
}

import { SlipwayError } from '../base/errors.js';
import type { Instruction, Kubefile, Stage } from '../kubefile-parser/ast.js';
import { excerptAt, locationOf } from '../kubefile-parser/caret.js';

/**
 * Refuses, before anything is built, what the language has and this version does not execute. All places are listed at once.
 * @throws SlipwayError E_UNSUPPORTED
 */
export function refuseUnsupported(kubefile: Kubefile, stages: readonly Stage[]): void {
  const found = stages.flatMap(({ instructions }) =>
    instructions.flatMap((instruction) => {
      const what = unsupported(instruction);
      if (what === undefined) return [];
      const { position } = instruction;
      return [
        `${locationOf(kubefile.file, position)}: ${what} is not supported by this version\n${excerptAt(kubefile, position)}`,
      ];
    }),
  );
  if (found.length > 0) throw new SlipwayError('E_UNSUPPORTED', found.join('\n'), { hint: 'nothing was built' });
}

function unsupported(instruction: Instruction): string | undefined {
  switch (instruction.kind) {
    case 'COPY':
      if (instruction.from !== undefined) return 'COPY --from';
      if (instruction.chown !== undefined) return 'COPY --chown';
      if (instruction.chmod !== undefined) return 'COPY --chmod';
      if (instruction.exclude.length > 0) return 'COPY --exclude';
      if (instruction.parents) return 'COPY --parents';
      if (instruction.link) return 'COPY --link';
      return instruction.heredocs.length > 0 ? 'COPY of a heredoc' : undefined;
    case 'RUN':
      if (instruction.mounts.length > 0) return 'RUN --mount';
      return instruction.security === 'insecure' ? 'RUN --security=insecure' : undefined;
    case 'ADD':
    case 'LAUNCH':
    case 'CMDS':
    case 'APP':
    case 'CNI':
    case 'CSI':
    case 'APPCMDS':
    case 'APPENV':
    case 'KUBEVERSION':
      return instruction.kind;
    default:
      return undefined;
  }
}

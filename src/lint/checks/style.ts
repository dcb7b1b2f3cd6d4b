import type { FromInstruction, Instruction } from '../../kubefile-parser/ast.js';
import type { Check } from '../check.js';

/** `maintainer-deprecated`. */
export const checkMaintainer: Check = ({ report }) => ({
  instruction(instruction) {
    if (instruction.kind === 'MAINTAINER')
      report(
        'maintainer-deprecated',
        instruction.position,
        'MAINTAINER is deprecated',
        `write LABEL org.opencontainers.image.authors=${JSON.stringify(instruction.name)}`,
      );
  },
});

/** `legacy-key-value`. */
export const checkKeyValues: Check = ({ report }) => ({
  instruction(instruction) {
    if (instruction.kind !== 'ENV' && instruction.kind !== 'LABEL') return;
    const [pair, second] = instruction.pairs;
    if (pair === undefined || second !== undefined) return;
    const args = instruction.source.slice(instruction.kind.length).trimStart();
    if (args.startsWith(pair.key.raw) && args[pair.key.raw.length] !== '=')
      report(
        'legacy-key-value',
        instruction.position,
        `${instruction.kind} without = takes all of the line as one value`,
        `write ${instruction.kind} ${pair.key.raw}=${/\s/.test(pair.value.raw) ? `"${pair.value.raw}"` : pair.value.raw}`,
      );
  },
});

/** `inconsistent-case`: told once, at the first instruction that is not as most are. */
export const checkCase: Check = ({ kubefile, report }) => {
  const seen = { upper: [] as (FromInstruction | Instruction)[], lower: [] as (FromInstruction | Instruction)[] };
  const look = (instruction: FromInstruction | Instruction): void => {
    const keyword = /^[A-Za-z]+/.exec(instruction.source)?.[0] ?? '';
    seen[keyword === keyword.toUpperCase() ? 'upper' : 'lower'].push(instruction);
  };
  return {
    globalArg: look,
    from: look,
    instruction: look,
    endOfStage({ index }) {
      if (index < kubefile.stages.length - 1) return;
      const few = seen.upper.length >= seen.lower.length ? seen.lower : seen.upper;
      const [first] = few;
      if (first !== undefined)
        report(
          'inconsistent-case',
          first.position,
          few.length === 1
            ? 'this instruction is written in another case than the others'
            : `${few.length} instructions are written in another case than the others; this is the first`,
          'write all instructions in upper case',
        );
    },
  };
};

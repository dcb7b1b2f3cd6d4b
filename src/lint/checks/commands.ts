import type { Instruction } from '../../kubefile-parser/ast.js';
import type { Check } from '../check.js';

/** Words that only change the shell they are read by. */
const SHELL_ONLY = new Set([
  'cd',
  'export',
  'set',
  'unset',
  'alias',
  'source',
  '.',
  'umask',
  'ulimit',
  'pushd',
  'shopt',
]);

/** `run-without-effect`, `run-sudo`, `pipe-hides-failure`: text that a shell gets from RUN. */
export const checkRun: Check = ({ report }) => {
  let pipefail = false;
  return {
    from: () => {
      pipefail = false;
    },
    instruction(instruction) {
      if (instruction.kind === 'SHELL') pipefail = instruction.shell.includes('pipefail');
      if (instruction.kind !== 'RUN' || instruction.command.form !== 'shell') return;
      const { position, command } = instruction;
      const text = [command.text, ...instruction.heredocs.map(({ content }) => content)].join('\n');
      const first = /^\s*([\w.]+)/.exec(command.text)?.[1] ?? '';
      if (SHELL_ONLY.has(first) && !/[;&|\n<>`(]/.test(text.trim()))
        report(
          'run-without-effect',
          position,
          `RUN ${first} has no effect: every RUN has a shell of its own`,
          first === 'cd' || first === 'pushd'
            ? 'write WORKDIR, or put cd and what follows it into one RUN: cd DIR && …'
            : first === 'export'
              ? 'write ENV NAME=VALUE'
              : `put ${first} and what needs it into one RUN`,
        );
      if (/(?:^|[;&|(\n]|\b(?:then|do|else|exec|time)\s)\s*sudo\s/.test(text))
        report(
          'run-sudo',
          position,
          'sudo in a RUN: rights cannot be gained there',
          'take it away: RUN is root of the image, or what USER says',
        );
      if (
        !pipefail &&
        !text.includes('pipefail') &&
        /(?:^|[;&(\n])\s*(?:curl|wget|fetch)\s[^;&|\n]*\|(?!\|)/.test(text)
      )
        report(
          'pipe-hides-failure',
          position,
          'when the download in front of the | fails, this RUN does not',
          'write the download to a file first; or set -o pipefail, with SHELL ["/bin/bash", "-o", "pipefail", "-c"]',
        );
    },
  };
};

/** `exec-form-shell-syntax`. */
export const checkExecForm: Check = ({ report }) => ({
  instruction(instruction) {
    const args = execArguments(instruction);
    if (args === undefined || isShell(args)) return;
    for (const arg of args) {
      const variable = /\$\{?[A-Za-z_]\w*/.exec(arg)?.[0];
      const operator = ['&&', '||', '|', ';', '>', '>>', '<', '&', '2>&1'].includes(arg) ? arg : undefined;
      const found = variable ?? operator;
      if (found === undefined) continue;
      report(
        'exec-form-shell-syntax',
        instruction.position,
        `no shell reads the JSON form: ${found} stays as it is`,
        `write it without JSON, or with a shell: ["sh", "-c", "…"]`,
      );
      return;
    }
  },
});

function execArguments(instruction: Instruction): readonly string[] | undefined {
  const { kind } = instruction;
  if (kind !== 'RUN' && kind !== 'CMD' && kind !== 'ENTRYPOINT') return undefined;
  return instruction.command.form === 'exec' ? instruction.command.args : undefined;
}

function isShell([program = '', ...rest]: readonly string[]): boolean {
  return /(?:^|\/)(?:env|[a-z]*sh|pwsh|python\d*|perl|node|awk|sed|jq|xargs)$/.test(program) && rest.length > 0;
}

/** `repeated-command`: in the docker dialect only the last CMD and ENTRYPOINT count. */
export const checkRepeatedCommands: Check = ({ kubefile, report }) => {
  if (kubefile.directives.dialect !== 'docker') return {};
  let last = new Map<string, Instruction>();
  return {
    from: () => {
      last = new Map();
    },
    instruction(instruction) {
      const { kind, position } = instruction;
      if (kind !== 'CMD' && kind !== 'ENTRYPOINT') return;
      const before = last.get(kind);
      if (before !== undefined)
        report(
          'repeated-command',
          position,
          `this ${kind} replaces the one in line ${before.position.line}`,
          `take one of the two away; in the Kubefile dialect every CMD counts`,
        );
      last.set(kind, instruction);
    },
  };
};

import { suggest } from '../../base/suggest.js';
import type { Instruction } from '../../kubefile-parser/ast.js';
import type { Word } from '../../kubefile-parser/parts.js';
import type { Check } from '../check.js';
import { shellTexts } from '../words.js';

/** Parts of a name, between underscores or where the case changes, that say it is a secret (BuildKit: SecretsUsedInArgOrEnv). */
const SECRET_PARTS = new Set(
  'apikey auth credential credentials key passphrase passwd password pwd pword secret secrets token tokens'.split(' '),
);
/** Parts that say it is none: a public key, the path of a key. */
const HARMLESS_PARTS = new Set('public path file dir directory name id keyring url server host'.split(' '));

/** `secret-in-variable`. */
export const checkSecrets: Check = ({ report }) => {
  const look = (word: Word, kind: string, where: string): void => {
    const parts = word.raw
      .replace(/([a-z0-9])([A-Z])/g, '$1_$2')
      .toLowerCase()
      .split(/[^a-z0-9]+/);
    if (!parts.some((part) => SECRET_PARTS.has(part)) || parts.some((part) => HARMLESS_PARTS.has(part))) return;
    report(
      'secret-in-variable',
      word.position,
      `${kind} ${word.raw} looks like a secret, and ${where}`,
      'give a secret to RUN with --mount=type=secret; nothing of it gets into the image',
    );
  };
  return {
    globalArg: ({ args }) => {
      for (const { name } of args) look(name, 'ARG', 'its value can be read in the history of the image');
    },
    instruction(instruction) {
      if (instruction.kind === 'ARG')
        for (const { name } of instruction.args) look(name, 'ARG', 'its value can be read in the history of the image');
      if (instruction.kind === 'ENV' || instruction.kind === 'APPENV')
        for (const { key } of instruction.pairs) look(key, instruction.kind, 'everybody who has the image can read it');
    },
  };
};

/** `overrides-predefined`: an ARG with a default, or an ENV, of the name of a platform variable. */
export const checkPredefined: Check = ({ options, report }) => {
  const predefined = new Set(Object.keys(options.predefined));
  const look = (word: Word, form: string): void => {
    if (predefined.has(word.raw))
      report(
        'overrides-predefined',
        word.position,
        `${word.raw} is set for the platform of the build; this puts another value over it`,
        `take "${form}" away, or choose another name`,
      );
  };
  const declared = (instruction: Instruction): void => {
    if (instruction.kind === 'ARG')
      for (const { name, default: fallback } of instruction.args)
        if (fallback !== undefined) look(name, `=${fallback.raw}`);
    if (instruction.kind === 'ENV')
      for (const { key, value } of instruction.pairs) look(key, `${key.raw}=${value.raw}`);
  };
  return { globalArg: declared, instruction: declared };
};

/** `unknown-build-arg`. */
export const checkBuildArgs: Check = ({ kubefile, options, report }) => {
  const declared = new Set(options.declarable);
  const add = (instruction: Instruction): void => {
    if (instruction.kind === 'ARG') for (const { name } of instruction.args) declared.add(name.raw);
  };
  return {
    globalArg: add,
    instruction: add,
    endOfStage({ index }) {
      if (index < kubefile.stages.length - 1) return;
      for (const name of Object.keys(options.buildArgs ?? {})) {
        if (declared.has(name)) continue;
        const near = suggest(name, declared);
        report(
          'unknown-build-arg',
          { line: 1, column: 1 },
          `no ARG declares ${name}: --build-arg has no effect`,
          near === undefined ? `write ARG ${name} where it is wanted` : `did you mean ${near}?`,
        );
      }
    },
  };
};

/** `arg-in-command`: what is run at the launch of the cluster sees ENV, and no ARG. */
export const checkLaunchVariables: Check = ({ kubefile, report }) => {
  if (kubefile.directives.dialect === 'docker') return {};
  return {
    instruction(instruction, scope) {
      const { kind } = instruction;
      if (kind !== 'CMD' && kind !== 'CMDS' && kind !== 'APPCMDS') return;
      const told = new Set<string>();
      for (const text of shellTexts(instruction))
        for (const [, name = ''] of text.matchAll(/\$\{?([A-Za-z_]\w*)/g)) {
          if (told.has(name) || scope.declaredBy(name) !== 'arg' || assignedIn(text, name)) continue;
          told.add(name);
          report(
            'arg-in-command',
            instruction.position,
            `${kind} is run when the cluster is launched, and the ARG ${name} is gone by then`,
            `keep its value in the image: ENV ${name}=$${name}`,
          );
        }
    },
  };
};

function assignedIn(text: string, name: string): boolean {
  return text.includes(`${name}=`) || text.includes(`read ${name}`) || text.includes(`for ${name} `);
}

/** `duplicate-label`. */
export const checkLabels: Check = ({ report }) => {
  let seen = new Map<string, { readonly value: string | undefined; readonly line: number }>();
  return {
    from: () => {
      seen = new Map();
    },
    instruction(instruction, scope) {
      if (instruction.kind !== 'LABEL') return;
      for (const { key, value } of instruction.pairs) {
        const name = scope.expand(key).value;
        if (name === undefined) continue;
        const before = seen.get(name);
        const now = scope.expand(value).value;
        if (before !== undefined)
          report(
            'duplicate-label',
            key.position,
            `the label ${name} is set in line ${before.line} already${now !== undefined && now === before.value ? '' : '; this value replaces that one'}`,
            'take one of the two away',
          );
        seen.set(name, { value: now, line: key.position.line });
      }
    },
  };
};

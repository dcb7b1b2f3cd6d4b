import type { Dialect, EscapeCharacter, FromInstruction, Instruction, Stage } from './ast.js';
import type { Mount } from './mount-types.js';
import type { StageOrImage } from './parts.js';
import type { Findings } from './problem.js';
import { literalOf } from './statement-reader.js';
import { quote } from './visible.js';

/** What the rules between stages need to know. */
interface Context {
  readonly stages: readonly Stage[];
  /** The first stage of each name. */
  readonly byName: ReadonlyMap<string, FromInstruction>;
  readonly dialect: Dialect;
  readonly escape: EscapeCharacter;
  readonly findings: Findings;
}

/**
 * The index of the stage called `name` among those before stage `before`, as FROM and `--from` see them; undefined when there is
 * none, and an image is meant. For a FROM with variables, once they are expanded.
 */
export function findStage(stages: readonly Stage[], name: string, before: number): number | undefined {
  const index = stages.findIndex(({ from }) => from.name === name.toLowerCase());
  return index >= 0 && index < before ? index : undefined;
}

/** Fills in which stages FROM, COPY and mounts mean, and reports what is wrong between instructions. */
export function resolveStages(
  stages: readonly Stage[],
  options: { readonly dialect: Dialect; readonly escape: EscapeCharacter },
  findings: Findings,
): Stage[] {
  const context: Context = { stages, byName: nameStages(stages, findings), ...options, findings };
  return stages.map(({ from, instructions }, index) => {
    checkLaunch(instructions, findings);
    return {
      from: resolveFrom(from, context),
      instructions: instructions.map((instruction) => resolveInstruction(instruction, index, context)),
    };
  });
}

/** Reports names that are given twice. */
function nameStages(stages: readonly Stage[], findings: Findings): Map<string, FromInstruction> {
  const byName = new Map<string, FromInstruction>();
  for (const { from } of stages) {
    if (from.name === undefined) continue;
    const first = byName.get(from.name);
    if (first === undefined) byName.set(from.name, from);
    else
      findings.problem(
        from.position,
        `a second stage is called ${quote(from.name)}; the first is in line ${first.position.line}`,
        'give it another name',
      );
  }
  return byName;
}

/** sealer: LAUNCH stands alone, and once; so does CMDS. CMD may be repeated. */
function checkLaunch(instructions: readonly Instruction[], findings: Findings): void {
  const first = new Map<string, Instruction>();
  for (const instruction of instructions) {
    const { kind, position } = instruction;
    if (kind !== 'CMD' && kind !== 'CMDS' && kind !== 'LAUNCH') continue;
    const before = first.get(kind);
    if (before !== undefined && kind !== 'CMD')
      findings.problem(
        position,
        `${kind} a second time; the first is in line ${before.position.line}`,
        `put everything into one ${kind}`,
      );
    for (const [other, { position: place }] of first) {
      if (other === kind) continue;
      if (kind === 'LAUNCH' || other === 'LAUNCH')
        findings.problem(
          position,
          `${kind} and ${other} exclude each other; there is a ${other} in line ${place.line}`,
          'use LAUNCH to start applications, or CMD to run commands',
        );
      else
        findings.warn(
          'cmd-and-cmds',
          position,
          `${kind} together with ${other} (line ${place.line}): both run, in this order`,
          'use one of the two forms',
        );
    }
    if (before === undefined) first.set(kind, instruction);
  }
}

function resolveFrom(from: FromInstruction, context: Context): FromInstruction {
  const { byName, dialect, findings } = context;
  const name = literalOf(from.image.raw, context.escape) ?? '';
  const named = byName.get(name.toLowerCase());
  if (named === undefined) return from;
  if (named.index < from.index) return { ...from, stage: named.index };
  const what = named.index === from.index ? 'the stage itself' : `a later stage (line ${named.position.line})`;
  const position = from.image.position;
  if (dialect === 'docker')
    findings.warn(
      'stage-shadows-image',
      position,
      `${quote(name)} is read as an image; it is also the name of ${what}`,
      'give the stage another name',
    );
  else
    findings.problem(
      position,
      `${quote(name)} is ${what}`,
      `put the stage it is built from first; if the image is meant, write its tag as well: ${name}:latest`,
    );
  return from;
}

function resolveInstruction(instruction: Instruction, index: number, context: Context): Instruction {
  if (instruction.kind === 'COPY' && instruction.from !== undefined)
    return { ...instruction, from: resolveReference(instruction.from, index, context) };
  if (instruction.kind === 'RUN')
    return { ...instruction, mounts: instruction.mounts.map((mount) => resolveMount(mount, index, context)) };
  return instruction;
}

function resolveMount(mount: Mount, index: number, context: Context): Mount {
  if ((mount.type !== 'bind' && mount.type !== 'cache') || mount.from === undefined) return mount;
  return { ...mount, from: resolveReference(mount.from, index, context) };
}

/** `--from`: the number or the name of an earlier stage, or an image. */
function resolveReference(reference: StageOrImage, index: number, { stages, byName, findings }: Context): StageOrImage {
  const { name, position } = reference;
  const stage = /^\d{1,6}$/.test(name) ? Number(name) : byName.get(name.toLowerCase())?.index;
  if (stage === undefined) return reference;
  if (stage < index) return { ...reference, stage };
  const what =
    stage === index
      ? 'is this stage itself'
      : stage < stages.length
        ? 'is a later stage'
        : `does not exist: there are ${stages.length} stages, from 0`;
  findings.problem(position, `stage ${quote(name)} ${what}`, 'only earlier stages can be copied from');
  return reference;
}

import type { EscapeCharacter, FromInstruction, Instruction, Kubefile } from './ast.js';
import { findInWords } from './heredoc.js';
import { readJsonForm } from './json-form.js';
import { continuationAt } from './lexer.js';
import type { Mount } from './mount-types.js';
import type { CommandLine, Heredoc, KeyValue, StageOrImage, Word } from './parts.js';
import { parseWord } from './word-syntax.js';

/** A line of a Kubefile before it is put together. */
interface Line {
  readonly keyword: string;
  readonly flags?: readonly string[];
  readonly args: string;
  readonly heredocs?: readonly Heredoc[];
}

/**
 * Writes a Kubefile so that reading it gives the same again, but for positions, `source`, and warnings. Comments and the layout of
 * continued lines are not kept: they are not in the syntax tree.
 */
export function printKubefile({
  directives,
  globalArgs,
  stages,
}: Pick<Kubefile, 'directives' | 'globalArgs' | 'stages'>): string {
  const head = [
    ...(directives.syntax === undefined ? [] : [`# syntax=${directives.syntax}\n`]),
    ...(directives.escape === '\\' ? [] : [`# escape=${directives.escape}\n`]),
    ...(directives.dialect === 'kubefile' ? [] : [`# dialect=${directives.dialect}\n`]),
  ];
  const print = (instruction: FromInstruction | Instruction): string =>
    printInstruction(instruction, directives.escape);
  const sections = [
    head,
    globalArgs.map(print),
    ...stages.map(({ from, instructions }) => [print(from), ...instructions.map(print)]),
  ];
  return sections
    .filter(({ length }) => length > 0)
    .map((section) => section.join(''))
    .join('\n');
}

/** One instruction with its heredocs; ends in a line break. */
export function printInstruction(instruction: FromInstruction | Instruction, escapeCharacter: EscapeCharacter): string {
  const { keyword, flags = [], args, heredocs = [] } = lineOf(instruction, escapeCharacter);
  const takesFlags = instruction.kind !== 'IGNORED';
  const guard = takesFlags && args.startsWith('--') ? ['--'] : [];
  let line = [keyword, ...flags, ...guard, args].join(' ');
  // A line that ends in the escape character would go on. A form feed keeps it from that, and is dropped like any blank.
  if (continuationAt(line, escapeCharacter) !== undefined) line += '\f';
  const documents = heredocs.map(({ name, content }) => `${content}${name}\n`);
  return `${wrap(line, escapeCharacter)}\n${documents.join('')}`;
}

function lineOf(node: FromInstruction | Instruction, escapeCharacter: EscapeCharacter): Line {
  switch (node.kind) {
    case 'FROM':
      return {
        keyword: node.kind,
        flags: wordFlag('platform', node.platform),
        args: node.image.raw + (node.name === undefined ? '' : ` AS ${node.name}`),
      };
    case 'COPY':
    case 'ADD':
      return {
        keyword: node.kind,
        flags: transferFlags(node, escapeCharacter),
        args: wordsOrJson([...node.sources, node.destination], node.heredocs, escapeCharacter),
        heredocs: node.heredocs,
      };
    case 'RUN':
      return {
        keyword: node.kind,
        flags: [
          ...node.mounts.map((mount) => `--mount=${printMount(mount, escapeCharacter)}`),
          ...(['network', 'isolation', 'security'] as const).flatMap((name) =>
            node[name] === undefined ? [] : [`--${name}=${node[name]}`],
          ),
        ],
        args: commandText(node.command),
        heredocs: node.heredocs,
      };
    case 'CMD':
    case 'ENTRYPOINT':
      return { keyword: node.kind, args: commandText(node.command) };
    case 'CMDS':
      return { keyword: node.kind, args: JSON.stringify(node.commands) };
    case 'LAUNCH':
      return { keyword: node.kind, args: JSON.stringify(node.apps) };
    case 'SHELL':
      return { keyword: node.kind, args: JSON.stringify(node.shell) };
    case 'BASE':
      return { keyword: node.kind, args: `${node.dir.raw} cache` };
    case 'ARG':
      return {
        keyword: node.kind,
        args: node.args.map((arg) => arg.name.raw + (arg.default === undefined ? '' : `=${arg.default.raw}`)).join(' '),
      };
    case 'ENV':
    case 'LABEL':
      return { keyword: node.kind, args: pairsText(node.pairs, escapeCharacter) };
    case 'MAINTAINER':
      return { keyword: node.kind, args: node.name };
    case 'WORKDIR':
      return { keyword: node.kind, args: node.path.raw };
    case 'USER':
      return { keyword: node.kind, args: node.user.raw };
    case 'KUBEVERSION':
      return { keyword: node.kind, args: node.constraint.raw };
    case 'APP':
    case 'CNI':
    case 'CSI':
      return { keyword: node.kind, args: wordsOrJson([node.name, ...node.sources], 'none', escapeCharacter) };
    case 'APPCMDS':
      return { keyword: node.kind, args: `${node.name.raw} ${JSON.stringify(node.commands)}` };
    case 'APPENV':
      return { keyword: node.kind, args: `${node.name.raw} ${pairsText(node.pairs, escapeCharacter)}` };
    case 'IGNORED':
      return { keyword: node.name, args: node.text, heredocs: node.heredocs };
  }
}

function commandText(command: CommandLine): string {
  return command.form === 'exec' ? JSON.stringify(command.args) : command.text;
}

function wordFlag(name: string, word: Word | undefined): string[] {
  return word === undefined ? [] : [`--${name}=${word.raw}`];
}

function transferFlags(
  node: Extract<Instruction, { kind: 'COPY' | 'ADD' }>,
  escapeCharacter: EscapeCharacter,
): string[] {
  const own =
    node.kind === 'COPY'
      ? [
          ...(node.from === undefined ? [] : [`--from=${fromText(node.from, escapeCharacter)}`]),
          ...(node.parents ? ['--parents'] : []),
        ]
      : [...wordFlag('checksum', node.checksum), ...(node.keepGitDir ? ['--keep-git-dir'] : [])];
  return [
    ...own,
    ...wordFlag('chown', node.chown),
    ...wordFlag('chmod', node.chmod),
    ...node.exclude.flatMap((word) => wordFlag('exclude', word)),
    ...(node.link ? ['--link'] : []),
  ];
}

function printMount(mount: Mount, escapeCharacter: EscapeCharacter): string {
  const fields = [`type=${mount.type}`];
  for (const [name, value] of Object.entries(mount)) {
    if (name === 'type') continue;
    if (name === 'readOnly') {
      const byDefault = mount.type === 'bind';
      if (value !== byDefault) fields.push(value === true ? 'readonly' : 'readwrite');
    } else if (name === 'mode') fields.push(`mode=${Number(value).toString(8)}`);
    else if (typeof value !== 'object') fields.push(`${name}=${value}`);
    else fields.push(`${name}=${'raw' in value ? value.raw : fromText(value, escapeCharacter)}`);
  }
  return fields.join(',');
}

/** The name of a stage or image as a word that has that value. */
function fromText({ name }: StageOrImage, escapeCharacter: EscapeCharacter): string {
  if (/^[\w.:/@-]+$/.test(name)) return name;
  const escaped = Array.from(name, (character) =>
    character === '"' || character === '$' || character === escapeCharacter ? escapeCharacter + character : character,
  );
  return `"${escaped.join('')}"`;
}

/** `K=V…`, or the old form `K V` when the value has blanks that are not quoted, as only the old form allows. */
function pairsText(pairs: readonly KeyValue[], escapeCharacter: EscapeCharacter): string {
  const [first] = pairs;
  if (pairs.length === 1 && first !== undefined && !isOneWord(`=${first.value.raw}`, '', escapeCharacter))
    return `${first.key.raw} ${first.value.raw}`;
  return pairs.map(({ key, value }) => `${key.raw}=${value.raw}`).join(' ');
}

/**
 * Words with blanks between them, and the heredocs in front (`none`: the instruction has no heredocs); the JSON form when the
 * words could not be told apart, or would be read as something else.
 */
function wordsOrJson(
  words: readonly Word[],
  heredocs: readonly Heredoc[] | 'none',
  escapeCharacter: EscapeCharacter,
): string {
  const raws = words.map(({ raw }) => raw);
  const markers = heredocs === 'none' ? [] : heredocs.map(markerOf);
  const text = [...markers, ...raws].join(' ');
  const readable =
    raws.every((raw, index) => raw !== '' && isOneWord(raw, index < raws.length - 1 ? ' x' : '', escapeCharacter)) &&
    text.trimEnd() === text &&
    (readJsonForm(text, 0, text.length)?.kind ?? 'invalid') === 'invalid' &&
    (heredocs === 'none' || findInWords(text, 0, escapeCharacter).length === markers.length);
  return readable || markers.length > 0 ? text : JSON.stringify(raws);
}

/** True when the text is read as one word; `behind` is what stands behind it on the line. */
function isOneWord(raw: string, behind: string, escapeCharacter: EscapeCharacter): boolean {
  if (/[\0\n\p{Surrogate}]/u.test(raw)) return false;
  const { end, mistake } = parseWord(raw + behind, 0, { escape: escapeCharacter, stopAtBlank: true });
  return mistake === undefined && end === raw.length;
}

function markerOf({ name, expand, chomp }: Heredoc): string {
  const marker = chomp ? '<<-' : '<<';
  if (expand) return marker + name;
  if (!name.includes("'")) return `${marker}'${name}'`;
  return `${marker}"${name.replace(/["\\$`]/g, '\\$&')}"`;
}

/** Bytes of a line are at most 65 535; with 3 bytes for a character this is on the safe side. */
const WRAP_AT = 20_000;
const LONGEST_LINE = 65_535;

/** Breaks a line that would be too long: a joined line may be longer than any line of a file. */
function wrap(line: string, escapeCharacter: EscapeCharacter): string {
  const pieces: string[] = [];
  let rest = line;
  while (Buffer.byteLength(rest) > LONGEST_LINE) {
    const cut = findCut(rest, escapeCharacter);
    if (cut === 0) break;
    pieces.push(rest.slice(0, cut) + escapeCharacter);
    rest = rest.slice(cut);
  }
  return [...pieces, rest].join('\n');
}

/** Where a line can be broken: not behind an escape character, not inside a surrogate pair, and not before what would be a comment. */
function findCut(line: string, escapeCharacter: EscapeCharacter): number {
  let next: string | undefined;
  for (let behind = WRAP_AT; behind < line.length && next === undefined; behind++)
    if (line[behind]?.trim() !== '') next = line[behind];
  for (let cut = WRAP_AT; cut > 0; cut--) {
    if (line[cut]?.trim() !== '') next = line[cut];
    const splitsPair = (line.codePointAt(cut - 1) ?? 0) > 0xffff;
    if (line[cut - 1] !== escapeCharacter && !splitsPair && next !== '#') return cut;
  }
  return 0;
}

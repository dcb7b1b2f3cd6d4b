import type { AddInstruction, CopyInstruction } from '../ast.js';
import { optional, readFlags } from '../flags.js';
import { parseFrom } from '../mount.js';
import type { Heredoc, Word } from '../parts.js';
import { bare, type PlacedWord, type StatementReader } from '../statement-reader.js';
import { quote } from '../visible.js';
import { node } from './node.js';

const COMMON_FLAGS = { chown: 'word', chmod: 'word', exclude: 'words', link: 'boolean' } as const;
const COPY_FLAGS = { ...COMMON_FLAGS, from: 'word', parents: 'boolean' } as const;
const ADD_FLAGS = { ...COMMON_FLAGS, checksum: 'word', 'keep-git-dir': 'boolean' } as const;

/** `COPY [--chown --chmod --from --exclude --parents --link] SRC… DST`, also as JSON, also with heredocs as sources. */
export function parseCopy(reader: StatementReader): CopyInstruction | undefined {
  const flags = readFlags(reader, COPY_FLAGS);
  const from = flags.from === undefined ? undefined : parseFrom(reader, flags.from);
  const paths = parsePaths(reader);
  if (paths === undefined) return undefined;
  if (from !== undefined && paths.heredocs.length > 0)
    reader.problem(
      reader.statement.start,
      'COPY --from cannot have a heredoc',
      'a heredoc comes from the Kubefile; make two COPY of it',
    );
  const { sources, heredocs, destination } = paths;
  const { exclude, link } = commonFlags(flags);
  // One object after the other spread into it would cost more than everything else about a COPY.
  const copy = {
    ...node('COPY', reader),
    sources,
    heredocs,
    destination,
    exclude,
    link,
    parents: flags.parents ?? false,
  };
  return from === undefined ? withOwner(copy, flags) : { ...withOwner(copy, flags), from };
}

/** `ADD [--chown --chmod --exclude --link --checksum --keep-git-dir] SRC… DST`. */
export function parseAdd(reader: StatementReader): AddInstruction | undefined {
  const flags = readFlags(reader, ADD_FLAGS);
  const paths = parsePaths(reader);
  if (paths === undefined) return undefined;
  const add = {
    ...node('ADD', reader),
    ...paths,
    ...commonFlags(flags),
    ...optional('checksum', flags.checksum),
    keepGitDir: flags['keep-git-dir'] ?? false,
  };
  return withOwner(add, flags);
}

interface OwnerFlags {
  readonly chown?: PlacedWord;
  readonly chmod?: PlacedWord;
}

function commonFlags({ exclude, link }: { readonly exclude?: readonly PlacedWord[]; readonly link?: boolean }) {
  return { exclude: (exclude ?? []).map(bare), link: link ?? false };
}

function withOwner<T extends object>(
  instruction: T,
  { chown, chmod }: OwnerFlags,
): T & { readonly chown?: Word; readonly chmod?: Word } {
  if (chown === undefined && chmod === undefined) return instruction;
  return { ...instruction, ...optional('chown', chown), ...optional('chmod', chmod) };
}

interface Paths {
  readonly sources: readonly Word[];
  readonly heredocs: readonly Heredoc[];
  readonly destination: Word;
}

function parsePaths(reader: StatementReader): Paths | undefined {
  const form = `write ${reader.keyword} SOURCE… DESTINATION`;
  const words = reader.jsonOrWords();
  if (words === undefined) return undefined;
  const heredocs = reader.heredocs(true);
  const destination = words.at(-1);
  const lastMarker = reader.statement.heredocs.at(-1);
  if (lastMarker !== undefined && lastMarker.start > (destination?.start ?? -1))
    return reader.problem(lastMarker.start, 'a heredoc cannot be the destination', form);
  const sources = words.slice(0, -1);
  if (destination === undefined || sources.length + heredocs.length === 0)
    return reader.missing('at least one source and a destination', form);
  const names = new Set<string>();
  const repeated = heredocs.find(({ name }) => names.size === names.add(name).size);
  if (repeated !== undefined)
    return reader.problem(
      reader.statement.heredocs[heredocs.indexOf(repeated)]?.start ?? reader.statement.start,
      `two heredocs are called ${quote(repeated.name)}`,
      'the name is that of the file; give each its own',
    );
  return { sources: sources.map(bare), heredocs, destination: bare(destination) };
}

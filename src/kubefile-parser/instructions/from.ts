import type { FromInstruction } from '../ast.js';
import { optional, readFlags } from '../flags.js';
import { bare, literalOf, type PlacedWord, type StatementReader, shown } from '../statement-reader.js';
import { node } from './node.js';

const FORM = 'write FROM [--platform=OS/ARCH] IMAGE [AS NAME]';

/** `FROM [--platform=P] IMAGE [AS name]`; `index` is its place among the stages. Which stage `IMAGE` names is found out later. */
export function parseFromInstruction(reader: StatementReader, index: number): FromInstruction | undefined {
  const { platform } = readFlags(reader, { platform: 'word' });
  if (reader.isEmpty) return reader.missing('an image', FORM);
  const words = reader.words();
  if (words === undefined) return undefined;
  const [image, as, name, ...more] = words;
  if (image === undefined) return reader.missing('an image', FORM);
  const tooMuch = as !== undefined && as.raw.toUpperCase() !== 'AS' ? as : more[0];
  if (tooMuch !== undefined)
    return reader.problem(
      tooMuch.start,
      `FROM does not take ${shown(tooMuch)} here`,
      tooMuch.raw.startsWith('#') ? 'a comment stands on a line of its own' : FORM,
    );
  if (as !== undefined && name === undefined) return reader.problem(as.start, 'the name behind AS is missing', FORM);
  const stageName = name === undefined ? undefined : readName(reader, name);
  return {
    ...node('FROM', reader),
    index,
    ...optional('platform', platform),
    image: bare(image),
    ...(stageName !== undefined && { name: stageName }),
  };
}

function readName(reader: StatementReader, word: PlacedWord): string | undefined {
  const name = literalOf(word.raw, reader.escape)?.toLowerCase() ?? '';
  if (name === 'scratch')
    return reader.problem(
      word.start,
      'a stage cannot be called scratch',
      'scratch is the empty image; choose another name',
    );
  if (/^[a-z][a-z0-9_.-]*$/.test(name)) return name;
  return reader.problem(
    word.start,
    `${shown(word)} cannot be the name of a stage`,
    'a name begins with a letter, and goes on with letters, digits, "_", "." and "-"',
  );
}

import { suggest } from '../base/suggest.js';
import { type MountField, splitMountFields } from './mount-fields.js';
import type { Mount } from './mount-types.js';
import type { StageOrImage, Word } from './parts.js';
import { bare, literalOf, type PlacedWord, type StatementReader } from './statement-reader.js';
import { quote } from './visible.js';

const TYPES = ['bind', 'cache', 'tmpfs', 'secret'] as const;
type MountType = (typeof TYPES)[number];

/** The options of each type, by the names that Docker's documentation uses first. */
const OPTIONS: Readonly<Record<MountType, readonly OptionName[]>> = {
  bind: ['target', 'source', 'from', 'readonly', 'readwrite'],
  cache: ['id', 'target', 'source', 'from', 'sharing', 'readonly', 'readwrite', 'mode', 'uid', 'gid'],
  tmpfs: ['target', 'size'],
  secret: ['id', 'target', 'env', 'required', 'mode', 'uid', 'gid'],
};

type OptionName =
  | 'target'
  | 'source'
  | 'from'
  | 'readonly'
  | 'readwrite'
  | 'id'
  | 'sharing'
  | 'mode'
  | 'uid'
  | 'gid'
  | 'size'
  | 'env'
  | 'required';

/** A `source` of a secret is its id. */
const ALIASES: Readonly<Record<string, OptionName>> = {
  dst: 'target',
  destination: 'target',
  src: 'source',
  ro: 'readonly',
  rw: 'readwrite',
};

/**
 * Reads the value of `--mount`: fields parted by commas, as in a line of CSV. Paths and ids stay words, to be expanded; everything
 * else must be written out. Undefined when something is wrong; it is reported.
 */
export function parseMount(reader: StatementReader, flag: PlacedWord): Mount | undefined {
  const fields = splitMountFields(reader, flag);
  const typeField = fields.find(({ key }) => key === 'type');
  const type = typeField === undefined ? 'bind' : readType(reader, typeField);
  if (type === undefined) return undefined;
  const options = new MountOptions(reader, type, flag);
  let sound = true;
  for (const field of fields) if (field !== typeField) sound = options.add(field) && sound;
  return sound ? build(options, type) : undefined;
}

/**
 * `from` of a mount or of COPY: a name without variables, as in Docker, because it decides which stages are built.
 * Undefined when it is not one; it is reported.
 */
export function parseFrom(reader: StatementReader, word: PlacedWord): StageOrImage | undefined {
  const name = literalOf(word.raw, reader.escape);
  if (name !== undefined && name !== '') return { name, position: word.position };
  return reader.problem(
    word.start,
    name === '' ? 'from is empty' : `from takes no variables: ${quote(word.raw)}`,
    'give the image a name first: FROM ${IMAGE} AS name, and then from=name',
  );
}

function readType(reader: StatementReader, { start, value }: MountField): MountType | undefined {
  const given = value === undefined ? '' : (literalOf(value.raw, reader.escape) ?? value.raw);
  const type = TYPES.find((known) => known === given.toLowerCase());
  if (type !== undefined) return type;
  const near = suggest(given.slice(0, 40), TYPES);
  return reader.problem(
    start,
    `there is no mount of type ${quote(given)}`,
    near === undefined ? `the types are ${TYPES.join(', ')}` : `did you mean type=${near}?`,
  );
}

/** Collects the options of one mount and checks each against the type. */
class MountOptions {
  private readonly values = new Map<OptionName, PlacedWord | true>();

  constructor(
    readonly reader: StatementReader,
    private readonly type: MountType,
    private readonly flag: PlacedWord,
  ) {}

  /** False when the option is wrong; it is reported. */
  add({ key, start, value }: MountField): boolean {
    const name = this.nameOf(key);
    if (name === undefined) {
      this.reader.problem(start, `a ${this.type} mount has no option ${quote(key)}`, this.hintFor(key));
      return false;
    }
    const isSwitch = name === 'readonly' || name === 'readwrite' || name === 'required';
    if (!isSwitch && (value === undefined || value.raw === '')) {
      this.reader.problem(start, `the option ${key} has no value`, `write ${key}=VALUE`);
      return false;
    }
    if (this.values.has(name)) {
      this.reader.problem(start, `the option ${name} is given twice`, 'take one of the two away');
      return false;
    }
    this.values.set(name, value ?? true);
    return true;
  }

  private nameOf(key: string): OptionName | undefined {
    if (this.type === 'secret' && (key === 'source' || key === 'src')) return 'id';
    const name = ALIASES[key] ?? key;
    return OPTIONS[this.type].find((option) => option === name);
  }

  private hintFor(key: string): string {
    const near = suggest(key.slice(0, 40), [...OPTIONS[this.type], 'type']);
    if (near !== undefined) return `did you mean ${near}?`;
    return `its options are ${OPTIONS[this.type].join(', ')}`;
  }

  word<Name extends OptionName>(name: Name): { readonly [Key in Name]?: Word } {
    const value = this.values.get(name);
    return (value === undefined || value === true ? {} : { [name]: bare(value) }) as { readonly [Key in Name]?: Word };
  }

  /** Undefined, and reported, when the option is missing. */
  needed(name: OptionName): Word | undefined {
    const value = this.values.get(name);
    if (value !== undefined && value !== true) return bare(value);
    return this.reader.problem(this.flag.start, `a ${this.type} mount needs ${name}=…`, `add ,${name}=VALUE`);
  }

  has(name: OptionName): boolean {
    return this.values.has(name);
  }

  from(): { readonly from?: StageOrImage } | undefined {
    const value = this.values.get('from');
    if (value === undefined || value === true) return {};
    const from = parseFrom(this.reader, value);
    return from === undefined ? undefined : { from };
  }

  /** The switch as given, or undefined; a wrong value is reported and counts as false. */
  on(name: 'readonly' | 'readwrite' | 'required'): boolean | undefined {
    const value = this.values.get(name);
    if (value === undefined || value === true) return value;
    const text = literalOf(value.raw, this.reader.escape)?.toLowerCase() ?? '';
    if (['true', '1', 't'].includes(text)) return true;
    if (!['false', '0', 'f'].includes(text))
      this.reader.problem(
        value.start,
        `${name} is true or false, not ${quote(value.raw)}`,
        `write ${name}=true or ${name}=false`,
      );
    return false;
  }

  /** A number that `read` understands; a wrong one is reported and left away. */
  number<Name extends 'mode' | 'uid' | 'gid' | 'size'>(
    name: Name,
    read: (text: string) => number | undefined,
    form: string,
  ): { readonly [Key in Name]?: number } {
    const value = this.values.get(name);
    if (value === undefined || value === true) return {};
    const number = read(literalOf(value.raw, this.reader.escape) ?? '');
    if (number === undefined)
      this.reader.problem(value.start, `${name} cannot be ${quote(value.raw)}`, `${name} is ${form}`);
    return (number === undefined ? {} : { [name]: number }) as { readonly [Key in Name]?: number };
  }

  sharing(): 'shared' | 'private' | 'locked' {
    const value = this.values.get('sharing');
    if (value === undefined || value === true) return 'shared';
    const text = literalOf(value.raw, this.reader.escape)?.toLowerCase();
    const mode = (['shared', 'private', 'locked'] as const).find((known) => known === text);
    if (mode === undefined)
      this.reader.problem(value.start, `sharing cannot be ${quote(value.raw)}`, 'it is one of shared, private, locked');
    return mode ?? 'shared';
  }
}

function build(options: MountOptions, type: MountType): Mount | undefined {
  if (type === 'secret') return buildSecret(options);
  const target = options.needed('target');
  if (target === undefined) return undefined;
  if (type === 'tmpfs') return { type, target, ...options.number('size', readSize, 'a size such as 64m or 1g') };
  const from = options.from();
  if (from === undefined) return undefined;
  const common = { target, ...options.word('source'), ...from, readOnly: readOnly(options, type === 'bind') };
  if (type === 'bind') return { type, ...common };
  return { type, ...options.word('id'), ...common, sharing: options.sharing(), ...permissions(options) };
}

function buildSecret(options: MountOptions): Mount | undefined {
  if (!options.has('id') && !options.has('target')) {
    options.needed('id');
    return undefined;
  }
  return {
    type: 'secret',
    ...options.word('id'),
    ...options.word('target'),
    ...options.word('env'),
    required: options.on('required') ?? false,
    ...permissions(options),
  };
}

function readOnly(options: MountOptions, byDefault: boolean): boolean {
  const written = options.on('readwrite');
  return options.on('readonly') ?? (written === undefined ? byDefault : !written);
}

function permissions(options: MountOptions): { readonly mode?: number; readonly uid?: number; readonly gid?: number } {
  return {
    ...options.number('mode', readMode, 'an octal number such as 0700'),
    ...options.number('uid', readId, 'a number'),
    ...options.number('gid', readId, 'a number'),
  };
}

function readMode(text: string): number | undefined {
  return /^[0-7]{1,5}$/.test(text) && Number.parseInt(text, 8) <= 0o7777 ? Number.parseInt(text, 8) : undefined;
}

function readId(text: string): number | undefined {
  return /^\d{1,10}$/.test(text) && Number(text) < 2 ** 32 - 1 ? Number(text) : undefined;
}

/** `64m`, `1.5GiB`: powers of 1024, as docker's own memory sizes. */
function readSize(text: string): number | undefined {
  const [, number, unit] = /^(\d{1,12}(?:\.\d{1,6})?) ?([kmgtp]?)(?:i?b)?$/i.exec(text) ?? [];
  if (number === undefined) return undefined;
  const bytes = Math.floor(Number(number) * 1024 ** ' kmgtp'.indexOf(unit?.toLowerCase() || ' '));
  return Number.isSafeInteger(bytes) ? bytes : undefined;
}

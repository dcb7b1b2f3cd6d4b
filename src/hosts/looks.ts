import { SlipwayError } from '../base/errors.js';
import type { Host } from './host.js';
import { absolute, collect, readFile } from './remote-files.js';
import { shellQuote } from './shell-script.js';

/** Files up to this many bytes come with the answer; larger ones are read alone, with a digest. */
const SMALL_BYTES = 64 * 1024;
/** What is said of one file besides its content. */
const LONGEST_WORDS = 128;
const DONE = 'done\n';

/**
 * Prints the contents of the small ones among the files in `"$@"`, the size of each before all of them, and at last that nothing has changed
 * meanwhile. Three programs are started, however many files there are.
 */
const CONTENTS = `facts() { stat -L -c '%s %i %Y %Z' -- "$@" 2>/dev/null; }
if [ $# -gt 0 ]; then
  found=$(facts "$@") && printf '%s\\n' "$found" || exit 0
  small=
  IFS='
'
  for fact in $found; do
    file=$1
    shift
    if [ "\${fact%% *}" -le ${SMALL_BYTES} ]; then
      set -- "$@" "$file"
      small="$small\${small:+
}$fact"
    fi
  done
  if [ $# -gt 0 ]; then
    cat -- "$@" 2>/dev/null || exit 0
    [ "$(facts "$@")" = "$small" ] || exit 0
  fi
fi
printf '${DONE.trim()}\\n'
`;

/** What is found: whether it exists; the content; `absent`; `alone` for what cannot come with others. */
type Found = boolean | Buffer | 'absent' | 'alone';

interface Look {
  readonly kind: 'exists' | 'content';
  readonly path: string;
  readonly answer: (found: Found) => void;
  readonly fail: (error: unknown) => void;
}

const WORDS: Readonly<Record<Look['kind'], readonly string[]>> = {
  exists: ['yes', 'no'],
  content: ['absent', 'file', 'other'],
};

/**
 * Looks at files of a host. What is asked for in one turn of the event loop, or while a script is on its way, travels as one script: an
 * installer asks about many small files at a time, and the way there and a shell cost far more than they do.
 */
export class Looks {
  readonly #host: Pick<Host, 'address' | 'run'>;
  #asked: Look[] = [];
  #looking = false;

  constructor(host: Pick<Host, 'address' | 'run'>) {
    this.#host = host;
  }

  /**
   * Whether the path is there, whatever it is; a dangling symbolic link counts.
   * @throws SlipwayError as {@link Host.run}
   */
  async exists(path: string): Promise<boolean> {
    return (await this.#ask('exists', path)) === true;
  }

  /**
   * The content of a file; undefined when it does not exist.
   * @throws SlipwayError as {@link readFile}
   */
  async read(path: string): Promise<Buffer | undefined> {
    const found = await this.#ask('content', path);
    if (found === 'absent') return undefined;
    // Large, no regular file, just being changed, or not readable: reading it alone gives it, or says what is wrong.
    return Buffer.isBuffer(found) ? found : await readFile(this.#host, path);
  }

  #ask(kind: Look['kind'], path: string): Promise<Found> {
    absolute(path);
    return new Promise((answer, fail) => {
      this.#asked.push({ kind, path, answer, fail });
      if (this.#asked.length === 1 && !this.#looking) this.#begin();
    });
  }

  #begin(): void {
    this.#looking = true;
    setImmediate(() => void this.#go());
  }

  async #go(): Promise<void> {
    const looks = this.#asked;
    this.#asked = [];
    try {
      const found = await this.#find(looks);
      for (const [index, { answer }] of looks.entries()) answer(found[index] ?? 'alone');
    } catch (error) {
      for (const { fail } of looks) fail(error);
    }
    this.#looking = false;
    if (this.#asked.length > 0) this.#begin();
  }

  async #find(looks: readonly Look[]): Promise<readonly Found[]> {
    const output = collect(looks.length * (SMALL_BYTES + LONGEST_WORDS));
    const [first] = looks;
    const title = looks.length === 1 ? `look at ${first?.path}` : `look at ${first?.path} and ${looks.length - 1} more`;
    await this.#host.run(`set --\n${looks.map(question).join('')}${CONTENTS}`, { stdout: output.stream, title });
    const found = answersIn(output.bytes(), looks);
    if (found !== undefined) return found;
    throw new SlipwayError(
      'E_HOST_COMMAND',
      `host ${this.#host.address}: asked about ${looks.length} files it does not answer for each (${title})`,
    );
  }
}

/** One word a line; of a regular file the content is asked for later. */
function question({ kind, path }: Look): string {
  const file = shellQuote(path);
  return kind === 'exists'
    ? `if [ -e ${file} ] || [ -L ${file} ]; then echo yes; else echo no; fi\n`
    : `if [ ! -e ${file} ]; then echo absent; elif [ -f ${file} ]; then echo file; set -- "$@" ${file}; else echo other; fi\n`;
}

/** Reads what the script prints; undefined when it is not about each of the files. Pure. */
function answersIn(bytes: Buffer, looks: readonly Look[]): readonly Found[] | undefined {
  let at = 0;
  const line = (): string | undefined => {
    const end = bytes.indexOf(10, at);
    if (end < 0) return undefined;
    const text = bytes.toString('latin1', at, end);
    at = end + 1;
    return text;
  };
  const words = looks.map(line);
  if (!looks.every(({ kind }, index) => WORDS[kind].includes(words[index] ?? ''))) return undefined;
  const sizes = words.flatMap((word) => (word === 'file' ? [Number.parseInt(line() ?? '', 10)] : []));
  const small = sizes.map((size) => (size <= SMALL_BYTES ? size : 0));
  const length = small.reduce((sum, size) => sum + size, 0);
  const whole = bytes.subarray(at + length).toString('latin1') === DONE;
  let nth = 0;
  return words.map((word): Found => {
    if (word === 'yes' || word === 'no') return word === 'yes';
    if (word === 'absent') return word;
    if (word === 'other') return 'alone';
    const size = sizes[nth++] ?? Number.NaN;
    if (!whole || !(size <= SMALL_BYTES)) return 'alone';
    at += size;
    return bytes.subarray(at - size, at);
  });
}

import { createHash } from 'node:crypto';
import type { Host } from './host.js';
import { absolute, writeFile } from './remote-files.js';
import { shellQuote } from './shell-script.js';

/** Larger ones go alone. */
const SMALL_BYTES = 1024 * 1024;
/** sha256sum writes a line with such a name in another way. */
const ODD_NAME = /[\\\n]/;

/** A file that is to be on a host. */
export interface FileToWrite {
  readonly path: string;
  readonly bytes: Buffer;
  readonly mode: number;
}

interface Asked extends FileToWrite {
  readonly done: () => void;
  readonly fail: (error: unknown) => void;
}

/**
 * Writes files of a host. What is asked for in one turn of the event loop travels as one script, in which each file is treated as
 * {@link writeFile} does; when that cannot be done each is written alone, and says what is wrong with it. Which of two contents that are asked
 * for in one turn for one path comes last is not said.
 */
export class Writes {
  readonly #host: Pick<Host, 'address' | 'run'>;
  #asked: Asked[] = [];

  constructor(host: Pick<Host, 'address' | 'run'>) {
    this.#host = host;
  }

  /** @throws SlipwayError as {@link writeFile} */
  write(path: string, content: Uint8Array | string, { mode = 0o644 }: { readonly mode?: number } = {}): Promise<void> {
    const bytes = Buffer.from(content);
    if (bytes.length > SMALL_BYTES || ODD_NAME.test(path)) return writeFile(this.#host, path, bytes, { mode });
    absolute(path);
    return new Promise((done, fail) => {
      this.#asked.push({ path, bytes, mode, done, fail });
      if (this.#asked.length === 1) setImmediate(() => void this.#go());
    });
  }

  async #go(): Promise<void> {
    const files = this.#asked;
    this.#asked = [];
    try {
      const together = files.length > 1 && (await this.#together(files));
      for (const { path, bytes, mode, done, fail } of files) {
        if (together) done();
        else await writeFile(this.#host, path, bytes, { mode }).then(done, fail);
      }
    } catch (error) {
      // The host is gone, or the command was stopped: that is no better for one file after the other.
      for (const { fail } of files) fail(error);
    }
  }

  async #together(files: readonly FileToWrite[]): Promise<boolean> {
    const { code } = await this.#host.run(writesScript(files), {
      stdin: Buffer.concat(files.map(({ bytes }) => bytes)),
      title: `write ${files[0]?.path} and ${files.length - 1} more`,
      allowFailure: true,
    });
    return code === 0;
  }
}

/**
 * Reads the contents of the files, one after the other, from its input. All of them are on the disk under temporary names, and verified,
 * before the first gets its own. Pure.
 */
export function writesScript(files: readonly FileToWrite[]): string {
  const digests = files.map(({ bytes }) => createHash('sha256').update(bytes).digest('hex'));
  return `set --
trap 'for temporary in "$@"; do rm -f -- "$temporary"; done' EXIT
trap 'exit 143' TERM HUP INT
${files.map(receive).join('')}[ "$(sha256sum -- "$@" | cut -c1-64)" = '${digests.join('\n')}' ] || exit 1
chown 0:0 -- "$@" && sync -- "$@" || exit 1
${files.map(({ path }) => `mv -f -- "$1" ${shellQuote(path)} && shift || exit 1\n`).join('')}`;
}

function receive({ path, bytes, mode }: FileToWrite): string {
  const directory = shellQuote(path.slice(0, path.lastIndexOf('/') + 1));
  return `[ ! -d ${shellQuote(path)} ] || exit 1
[ -d ${directory} ] || mkdir -p ${directory} || exit 1
temporary=$(mktemp ${directory}.slipway.XXXXXXXXXX) || exit 1
set -- "$@" "$temporary"
${bytes.length === 0 ? '' : `dd bs=${bytes.length} count=1 iflag=fullblock 2>/dev/null >"$temporary" || exit 1\n`}chmod ${mode.toString(8)} "$temporary" || exit 1
`;
}

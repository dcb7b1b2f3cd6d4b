import { createHash } from 'node:crypto';
import { Writable } from 'node:stream';
import { SlipwayError } from '../base/errors.js';
import type { Host } from './host.js';
import { shellQuote } from './shell-script.js';

/** {@link Host.readFile} reads no more than this. */
export const MAX_READ_BYTES = 16 * 1024 * 1024;

/** Bytes of a sha256 in hex, and of the end of its line. */
const DIGEST_LINE = 65;

type Runner = Pick<Host, 'address' | 'run'>;

/** Exit codes of our scripts that mean something; chosen where no tool they call has its own. */
const ABSENT = 81;
const TOO_LARGE = 82;
const DAMAGED = 83;
const NOT_A_FILE = 84;

/**
 * Writes a file on a host: to a temporary name beside it, verified by sha256 there, then renamed, so that the file is
 * either the old one or the new one, whole. Parents are made (mode 0755).
 * @throws SlipwayError as {@link Host.run}; E_DIGEST_MISMATCH when the host did not store what was sent
 */
export async function writeFile(
  host: Runner,
  path: string,
  content: Uint8Array | string,
  { mode = 0o644 }: { readonly mode?: number } = {},
): Promise<void> {
  const bytes = typeof content === 'string' ? Buffer.from(content) : content;
  const digest = createHash('sha256').update(bytes).digest('hex');
  const { code, stderr } = await host.run(
    `
path=${shellQuote(absolute(path))}
if [ -d "$path" ]; then echo "it is a directory" >&2; exit ${NOT_A_FILE}; fi
directory=\${path%/*}/
mkdir -p "$directory" || exit 1
temporary=$(mktemp "$directory.slipway.XXXXXXXXXX") || exit 1
trap 'rm -f "$temporary"' EXIT
trap 'exit 143' TERM HUP INT
cat >"$temporary" || exit 1
sum=$(sha256sum <"$temporary") || exit 1
[ "\${sum%% *}" = ${digest} ] || exit ${DAMAGED}
chmod ${mode.toString(8)} "$temporary" && chown 0:0 "$temporary" && sync "$temporary" && mv -f "$temporary" "$path"
`,
    { stdin: bytes, title: `write ${path}`, allowFailure: true },
  );
  if (code === 0) return;
  if (code === DAMAGED) {
    throw new SlipwayError('E_DIGEST_MISMATCH', `host ${host.address}: ${path} did not arrive as it was sent`, {
      hint: 'look for a full or failing disk on the host',
    });
  }
  throw failed(host, `writing ${path} failed`, { code, stderr });
}

/**
 * Reads a file of at most {@link MAX_READ_BYTES}, verified by the sha256 that the host finds for it; undefined when it
 * does not exist. A file that changes while it is read is read again, three times at most.
 * @throws SlipwayError as {@link Host.run}; E_HOST_COMMAND for a directory or a file that is too large; E_FILE_CHANGED
 */
export async function readFile(host: Runner, path: string): Promise<Buffer | undefined> {
  for (let attempt = 0; attempt < 3; attempt++) {
    const output = collect(DIGEST_LINE + MAX_READ_BYTES);
    const { code, stderr } = await host.run(
      `
path=${shellQuote(absolute(path))}
[ -e "$path" ] || exit ${ABSENT}
if [ -d "$path" ]; then echo "it is a directory" >&2; exit ${NOT_A_FILE}; fi
size=$(wc -c <"$path") || exit 1
[ "$size" -le ${MAX_READ_BYTES} ] || exit ${TOO_LARGE}
sum=$(sha256sum <"$path") || exit 1
echo "\${sum%% *}" && head -c ${MAX_READ_BYTES} "$path"
`,
      { stdout: output.stream, title: `read ${path}`, allowFailure: true },
    );
    if (code === ABSENT) return undefined;
    if (code === TOO_LARGE) {
      throw new SlipwayError('E_HOST_COMMAND', `host ${host.address}: ${path} is larger than 16 MiB and was not read`);
    }
    if (code !== 0) throw failed(host, `reading ${path} failed`, { code, stderr });
    const all = output.bytes();
    const content = all.subarray(DIGEST_LINE);
    if (createHash('sha256').update(content).digest('hex') === all.toString('latin1', 0, 64)) return content;
  }
  throw new SlipwayError('E_FILE_CHANGED', `host ${host.address}: ${path} changed each time it was read`, {
    hint: 'stop what writes it, then run again',
  });
}

/** A stream that keeps what is written to it, and fails when a host says more than it was asked for. */
export function collect(mostBytes: number): { readonly stream: Writable; bytes(): Buffer } {
  const chunks: Buffer[] = [];
  let size = 0;
  const stream = new Writable({
    write(chunk: Buffer, _encoding, done) {
      size += chunk.length;
      if (size > mostBytes)
        return done(new Error(`the host sends more than the ${mostBytes} bytes that were asked for`));
      chunks.push(chunk);
      done();
    },
  });
  return { stream, bytes: () => Buffer.concat(chunks) };
}

/** @throws SlipwayError E_USAGE */
export function absolute(path: string): string {
  if (!path.startsWith('/')) throw new SlipwayError('E_USAGE', `the path ${path} on a host must be absolute`);
  return path;
}

function failed(host: Runner, what: string, { code, stderr }: { code: number; stderr: string }): SlipwayError {
  const full = /no space left|quota exceeded/i.test(stderr);
  const lines = stderr.trim().split('\n').slice(-3).join('; ');
  return new SlipwayError(
    full ? 'E_NO_SPACE' : 'E_HOST_COMMAND',
    `host ${host.address}: ${what}: ${lines === '' ? `exit code ${code}` : lines}`,
    { details: { host: host.address, exitCode: code }, ...(full ? { hint: 'free some space on the host' } : {}) },
  );
}

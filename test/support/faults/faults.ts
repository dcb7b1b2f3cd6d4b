import { execFileSync, spawn } from 'node:child_process';
import { mkdirSync, readFileSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { CallOptions, Ended } from '../slipway.js';
import { LAUNCHER } from '../slipway.js';

const SOURCE = fileURLToPath(new URL('./faults.c', import.meta.url));

/** Calls that change what a power cut or a reader could find. */
export const CHANGES = 'ncrdwtmM';

/** What happens at a call: the program is killed, the program and all that it started, or the call fails. */
export type FaultAction = 'kill' | 'killall' | keyof typeof constants.errno;

export interface FaultPlan {
  /** Only what is done to files below these directories counts. */
  readonly below: readonly string[];
  /** Letters of the kinds of calls that count; see faults.c. */
  readonly kinds: string;
  /** The number of the call, from 1; 0: nothing happens. */
  readonly at: number;
  readonly action?: FaultAction;
  /** All later calls fail too. */
  readonly ever?: boolean;
}

/** A call that was counted, before it was made. */
export interface CountedCall {
  readonly number: number;
  readonly pid: number;
  readonly kind: string;
  readonly name: string;
  /** The file, or both files. */
  readonly what: string;
}

export interface FaultyRun extends Ended {
  readonly calls: readonly CountedCall[];
  /** The call at which it happened; undefined when there were not so many. */
  readonly hit: CountedCall | undefined;
}

/** Compiles what is preloaded (faults.c) into `dir`. @returns its path. */
export function compileFaults(dir: string): string {
  const library = join(dir, 'faults.so');
  execFileSync('gcc', ['-O1', '-shared', '-fPIC', '-Wall', '-Wextra', '-Werror', '-o', library, SOURCE]);
  return library;
}

/**
 * The environment in which programs meet the faults of a plan.
 * @param notes a directory that may be made; the count and the log are in it.
 */
export function faultEnvironment(
  library: string,
  notes: string,
  { below, kinds, at, action, ever = false }: FaultPlan,
): Readonly<Record<string, string>> {
  mkdirSync(notes, { recursive: true });
  return {
    LD_PRELOAD: library,
    // What goes through io_uring is no call of libc. One thread for files: the same work makes the same sequence.
    UV_USE_IO_URING: '0',
    UV_THREADPOOL_SIZE: '1',
    FAULTS_DIR: notes,
    FAULTS_BELOW: below.join(':'),
    FAULTS_KINDS: kinds,
    FAULTS_AT: String(at),
    FAULTS_DO: action === undefined ? '' : action.startsWith('kill') ? action : String(errnoNumber(action)),
    FAULTS_EVER: ever ? '1' : '',
  };
}

/** What programs that ran in {@link faultEnvironment} did. */
export function countedCalls(notes: string): readonly CountedCall[] {
  let text: string;
  try {
    text = readFileSync(join(notes, 'log'), 'utf8');
  } catch {
    return [];
  }
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => {
      const [number = '', pid = '', kind = '', name = '', ...what] = line.split(' ');
      return { number: Number(number), pid: Number(pid), kind, name, what: what.join(' ') };
    });
}

/** Those of some kinds, with the numbers that they have where only these kinds are counted. */
export function callsOfKinds(calls: readonly CountedCall[], kinds: string): readonly CountedCall[] {
  return calls.filter(({ kind }) => kinds.includes(kind)).map((call, index) => ({ ...call, number: index + 1 }));
}

/** Runs the program in a process group of its own, with faults. */
export async function slipwayWithFaults(
  library: string,
  notes: string,
  plan: FaultPlan,
  args: readonly string[],
  { root, env = {}, cwd, stdin }: CallOptions,
): Promise<FaultyRun> {
  const faults = faultEnvironment(library, notes, plan);
  // The shell becomes the program: only then its number is known.
  const script = 'export FAULTS_FIRST=$$ LD_PRELOAD="$1"; shift; exec "$@"';
  const { LD_PRELOAD = '', ...others } = faults;
  const child = spawn('sh', ['-c', script, 'sh', LD_PRELOAD, process.execPath, LAUNCHER, ...args], {
    cwd,
    env: { ...process.env, ...env, ...others, SLIPWAY_ROOT: root, NO_COLOR: '1' },
    stdio: ['pipe', 'pipe', 'pipe'],
    detached: true,
  });
  child.stdin.on('error', () => {}); // killed before it read
  child.stdin.end(stdin ?? '');
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  const ended = await new Promise<Ended>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, signal) => resolve({ code, signal, stdout, stderr }));
  });
  const calls = countedCalls(notes);
  return { ...ended, calls, hit: calls.find(({ number }) => number === plan.at) };
}

/** `12 rename /a /b`, for the message of a failed test. */
export function shownCall(call: CountedCall | undefined): string {
  return call === undefined ? 'no call' : `call ${call.number} (${call.name} ${call.what})`;
}

function errnoNumber(name: string): number {
  const found = Object.entries(constants.errno).find(([known]) => known === name);
  if (found === undefined) throw new Error(`no error is called ${name}`);
  return found[1];
}

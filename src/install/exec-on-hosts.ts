import { messageOf } from '../base/errors.js';
import type { Host } from '../hosts/host.js';
import { labelLines, tryOnHosts } from '../hosts/host-group.js';
import { shellQuote } from '../hosts/shell-script.js';

/** What became of a command on one host. */
export interface ExecResult {
  readonly host: string;
  /** Null when it did not come to its end there: the host was not reached, or lost, or the command was stopped. */
  readonly code: number | null;
  /** Of very long output the middle is left out, and said so. */
  readonly stdout: string;
  readonly stderr: string;
  /** Why there is no code. */
  readonly error: string | null;
}

export interface ExecOptions {
  readonly concurrency: number;
  /** Ends the commands on the hosts. */
  readonly signal: AbortSignal;
  /** Takes each line as it comes, with the host's address in front. */
  readonly onLine?: (line: string, stream: 'stdout' | 'stderr') => void;
}

/** The script that a command becomes: one word is a line for the shell, several are a program and its arguments. Pure. */
export function commandScript(words: readonly string[]): string {
  const [only = ''] = words;
  return words.length === 1 ? only : words.map(shellQuote).join(' ');
}

/**
 * Runs a command on hosts at once, as root. It gets no input, and takes as long as it wants. Never rejects for what happens on a host.
 */
export async function execOnHosts(
  hosts: readonly Host[],
  words: readonly string[],
  { concurrency, signal, onLine }: ExecOptions,
): Promise<readonly ExecResult[]> {
  const script = commandScript(words);
  const { results, failures } = await tryOnHosts(
    hosts,
    async (host) => {
      const label = (stream: 'stdout' | 'stderr') => labelLines(host.address, (line) => onLine?.(line, stream));
      const labels = { stdout: label('stdout'), stderr: label('stderr') };
      try {
        return await host.run(script, {
          title: 'the command',
          timeoutMs: 0,
          allowFailure: true,
          signal,
          onOutput: (text, stream) => labels[stream].push(text),
        });
      } finally {
        labels.stdout.end();
        labels.stderr.end();
      }
    },
    { concurrency, signal },
  );
  return hosts.map(({ address }) => {
    const result = results.get(address);
    if (result !== undefined) return { host: address, ...result, error: null };
    const failure = failures.find((one) => one.address === address);
    return { host: address, code: null, stdout: '', stderr: '', error: messageOf(failure?.error) };
  });
}

/** The exit code for all hosts: that of the command when they agree, else 1. Pure. */
export function commonCode(results: readonly ExecResult[]): number {
  const codes = new Set(results.map(({ code }) => code));
  const [code] = codes;
  return codes.size === 1 && typeof code === 'number' ? code : 1;
}

import { mapLimit } from '../base/concurrency.js';
import { type ErrorCode, isSlipwayError, messageOf, SlipwayError } from '../base/errors.js';
import type { Host } from './host.js';

/** One host's failure. */
export interface HostFailure {
  readonly address: string;
  readonly error: unknown;
}

/** Results of the hosts where the work succeeded, failures of the others, both in the order of the hosts. */
export interface GroupOutcome<R> {
  readonly results: ReadonlyMap<string, R>;
  readonly failures: readonly HostFailure[];
}

export interface GroupOptions {
  /** Hosts worked on at once; default 10. */
  readonly concurrency?: number;
  readonly signal?: AbortSignal;
}

/**
 * Runs `work` on every host, whatever happens on the others. Never rejects for a host's failure.
 * @throws the signal's reason as E_INTERRUPTED failures of the hosts not begun
 */
export async function tryOnHosts<R>(
  hosts: readonly Host[],
  work: (host: Host, index: number) => Promise<R>,
  { concurrency = 10, signal }: GroupOptions = {},
): Promise<GroupOutcome<R>> {
  const results = new Map<string, R>();
  const failed = new Map<number, HostFailure>();
  await mapLimit(hosts, concurrency, async (host, index) => {
    try {
      if (signal?.aborted === true) {
        throw new SlipwayError('E_INTERRUPTED', `host ${host.address}: nothing was begun: interrupted`);
      }
      results.set(host.address, await work(host, index));
    } catch (error) {
      failed.set(index, { address: host.address, error });
    }
  });
  const failures = [...failed].sort(([a], [b]) => a - b).map(([, failure]) => failure);
  return { results, failures };
}

/**
 * Runs `work` on every host and gives the results in their order. All hosts are worked on even when one fails.
 * @throws SlipwayError of the one host that failed; of several, one error that lists every one of them
 */
export async function onHosts<R>(
  hosts: readonly Host[],
  work: (host: Host, index: number) => Promise<R>,
  options?: GroupOptions,
): Promise<R[]> {
  const results: R[] = new Array(hosts.length);
  const { failures } = await tryOnHosts(
    hosts,
    async (host, index) => {
      results[index] = await work(host, index);
    },
    options,
  );
  if (failures.length > 0) throw groupError(failures, hosts.length);
  return results;
}

/** One error for the failures of a group. `of`: how many hosts there were. */
export function groupError(failures: readonly HostFailure[], of: number): unknown {
  const [first] = failures;
  if (first === undefined || failures.length === 1) return first?.error;
  const codes = new Set(failures.map(({ error }) => (isSlipwayError(error) ? error.code : undefined)));
  const [code] = codes;
  const one: ErrorCode = codes.size === 1 && code !== undefined ? code : 'E_HOST_COMMAND';
  const hints = new Set(failures.flatMap(({ error }) => (isSlipwayError(error) && error.hint ? [error.hint] : [])));
  const [hint] = hints;
  const lines = failures.map(({ address, error }) => {
    const text = messageOf(error);
    return `- ${text.startsWith(`host ${address}`) ? text : `host ${address}: ${text}`}`.replaceAll('\n', '\n  ');
  });
  return new SlipwayError(one, `${failures.length} of ${of} hosts failed:\n${lines.join('\n')}`, {
    ...(hints.size === 1 && hint !== undefined ? { hint } : {}),
    cause: first.error,
    details: {
      hosts: failures.map(({ address, error }) => ({
        address,
        ...(isSlipwayError(error) ? { code: error.code } : {}),
      })),
    },
  });
}

/**
 * Makes whole lines of the output of one host and gives each to `write` as `10.0.0.2 | text`. `end` gives what is left of
 * an unfinished line.
 */
export function labelLines(label: string, write: (line: string) => void): { push(text: string): void; end(): void } {
  let open = '';
  const give = (line: string): void => write(`${label} | ${line.replace(/\r$/, '')}`);
  return {
    push(text) {
      const lines = (open + text).split('\n');
      open = lines.pop() ?? '';
      for (const line of lines) give(line);
    },
    end() {
      if (open !== '') give(open);
      open = '';
    },
  };
}

import { statfs } from 'node:fs/promises';
import { isSlipwayError, SlipwayError } from '../../base/errors.js';
import { formatDuration } from '../../base/format.js';
import type { SandboxRequest, SandboxResult } from '../sandbox/sandbox-request.js';

/** With less than this left, in bytes, a disk counts as full: a command removes its temporary files when it fails. */
const FULL = 1024 * 1024;

/**
 * What to say about a command that ended with another code than 0.
 * @param lines the last ones it printed
 * @returns E_NO_SPACE when the disk that the rootfs is on is full, else E_RUN_FAILED
 */
export async function runFailed(
  { rootfs, isolation }: Pick<SandboxRequest, 'rootfs' | 'isolation'>,
  { code, signal }: Pick<SandboxResult, 'code' | 'signal'>,
  lines: readonly string[],
  hint: string | undefined,
): Promise<SlipwayError> {
  const how = signal === undefined ? `exit code ${code}` : `signal ${signal}`;
  const details = { exitCode: code };
  if (await isFull(rootfs))
    return new SlipwayError('E_NO_SPACE', `the disk is full, and the command ended with ${how}${withLines(lines)}`, {
      hint: 'free some space ("slipway prune" may), or use another place with --root DIR',
      details,
    });
  const where =
    isolation === 'host'
      ? "it ran with this machine's tools and the rootfs as its directory (host isolation)"
      : 'it ran inside the rootfs (container isolation)';
  return new SlipwayError('E_RUN_FAILED', `the command ended with ${how}${withLines(lines)}`, {
    hint: hint === undefined ? where : `${where}; ${hint}`,
    details,
  });
}

/** What to say when the sandbox itself threw: a time that is over gets the last lines that were printed. */
export function runStopped(error: unknown, timeoutMs: number | undefined, lines: readonly string[]): unknown {
  if (!isSlipwayError(error, 'E_TIMEOUT') || timeoutMs === undefined) return error;
  return new SlipwayError(
    'E_TIMEOUT',
    `the command took longer than ${formatDuration(timeoutMs)} and was ended, with all that it had started${withLines(lines)}`,
    { hint: 'give it more time with --run-timeout, or leave the flag away' },
  );
}

function withLines(lines: readonly string[]): string {
  return lines.length === 0 ? '' : `; its last lines:${lines.map((line) => `\n  | ${line}`).join('')}`;
}

async function isFull(dir: string): Promise<boolean> {
  try {
    const { bavail, bsize, files, ffree } = await statfs(dir);
    return bavail * bsize < FULL || (files > 0 && ffree === 0);
  } catch {
    return false;
  }
}

import { SlipwayError } from '../../base/errors.js';
import type { Host } from '../../hosts/host.js';
import { shellQuote } from '../../hosts/shell-script.js';
import { PATHS } from './paths.js';

const TIMEOUT_MS = 20 * 60_000;

/** State that is kept in an etcd or a database of the user's is the user's to save: `k0s backup` refuses, or warns and leaves it out. */
const ELSEWHERE = /does not support external|is not supported for|must be done manually/i;

/**
 * Lets k0s save what the cluster has (etcd or SQLite, certificates, configuration) into a new directory of a master, for root alone: an archive
 * that `k0s restore` takes.
 * @returns why there is none, when what the cluster has is not k0s' own to save; undefined when there is one
 * @throws SlipwayError E_HOST_COMMAND
 */
export async function backUpInto(master: Host, dir: string, signal?: AbortSignal): Promise<string | undefined> {
  const place = shellQuote(dir);
  const { code, stdout, stderr } = await master.run(
    `umask 077\nmkdir -p ${place} && ${PATHS.binary} backup --save-path=${place} && chmod 600 ${place}/*`,
    {
      title: 'k0s backup',
      timeoutMs: TIMEOUT_MS,
      allowFailure: true,
      ...(signal === undefined ? {} : { signal }),
    },
  );
  const said = `${stdout}\n${stderr}`.trim();
  const elsewhere = said.split('\n').find((line) => ELSEWHERE.test(line));
  if (code === 0 && elsewhere === undefined) return undefined;
  await master.run(`rm -rf ${place}`, { allowFailure: true, timeoutMs: 60_000 }).catch(() => undefined);
  if (elsewhere !== undefined) return elsewhere;
  throw new SlipwayError(
    'E_HOST_COMMAND',
    `host ${master.address}: k0s backup failed with exit code ${code}:\n${said}`,
  );
}

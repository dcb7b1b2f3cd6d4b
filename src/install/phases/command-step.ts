import { shellQuote } from '../../hosts/shell-script.js';
import { type Digest, hexOf } from '../../image/digest.js';
import type { Step } from '../plan/step.js';
import { programPath } from '../work.js';
import { type AskedMaster, launchedNotes, noteLaunched } from './launched-notes.js';

const TIMEOUT_MS = 60 * 60_000;

/** A command that is run once on a master, until what it is made from is something else. */
export interface NotedCommand {
  readonly id: string;
  readonly command: string;
  readonly application: string | undefined;
  readonly why: string;
  readonly inputs: Digest;
  /** Where it is run. */
  readonly cwd: string;
  /** Directories in whose `bin` its programs are looked for before the system's, the last one first. */
  readonly programs: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** Other notes that do not hold any more once this is begun. */
  readonly outdates?: (id: string) => boolean;
}

/**
 * Runs a command on the master that is asked. That it has been run is noted in the cluster, so that it does not matter on which master, and
 * whether that is still there.
 */
export function commandStep(master: AskedMaster, noted: NotedCommand): Step {
  const { id, command, application, why, inputs, cwd, programs, env, outdates = () => false } = noted;
  const title = [...(application === undefined ? [] : [application]), command.split('\n', 1)[0] ?? ''].join(': ');
  return {
    id,
    host: master.host.address,
    title,
    why,
    inputs,
    proof: 'check',
    check: async () => ({ holds: (await launchedNotes(master)).get(id) === hexOf(inputs) }),
    run: async ({ signal }) => {
      const outdated = [...(await launchedNotes(master)).keys()].filter(outdates);
      if (outdated.length > 0) await noteLaunched(master, Object.fromEntries(outdated.map((one) => [one, null])));
      await master.host.run(`${programs.map(programPath).join('')}exec bash -c ${shellQuote(command)}`, {
        title,
        cwd,
        env,
        timeoutMs: TIMEOUT_MS,
        signal,
      });
      await noteLaunched(master, { [id]: hexOf(inputs) });
      return undefined;
    },
  };
}

import { isDeepStrictEqual } from 'node:util';
import { messageOf } from '../../base/errors.js';
import type { Reporter } from '../../base/reporter.js';
import type { Host } from '../../hosts/host.js';
import { tryOnHosts } from '../../hosts/host-group.js';
import { hostPaths } from './cluster-paths.js';
import { type ClusterState, parseClusterState } from './cluster-state.js';

/**
 * Keeps a copy of the state on every master, readable by root alone: the machine that has it may be lost, and `gen` finds it there. Without
 * secrets, as the state is. A master that has it already is sent nothing; one that cannot be written is no failure of what was done.
 */
export async function keepOnMasters(masters: readonly Host[], state: ClusterState, reporter: Reporter): Promise<void> {
  const paths = hostPaths(state.dataRoot, state.name);
  const copy = { ...state, updated: new Date().toISOString() };
  const { failures } = await tryOnHosts(masters, async (master) => {
    const text = (await master.readFile(paths.state))?.toString('utf8');
    const found = text === undefined ? undefined : parseClusterState(text);
    if (typeof found === 'object' && isDeepStrictEqual(timeless(found), timeless(state))) return;
    await master.writeFile(paths.state, `${JSON.stringify(copy, null, 2)}\n`, { mode: 0o600 });
  });
  for (const { address, error } of failures) {
    reporter.warn(
      `${address} does not keep a copy of the state of ${state.name}: ${messageOf(error).split('\n', 1)[0]}`,
    );
  }
}

/** As it is in JSON, without the time at which it was written. */
function timeless(state: ClusterState): unknown {
  return JSON.parse(JSON.stringify({ ...state, updated: '' }));
}

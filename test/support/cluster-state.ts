import { mkdirSync, writeFileSync } from 'node:fs';
import { statePaths } from '../../src/install/state/cluster-paths.js';
import { type ClusterState, readClusterState } from '../../src/install/state/cluster-state.js';

/** Puts the state of a cluster into a store, as a run has left it, and reads it. `hosts`: addresses with their role. */
export async function putClusterState(
  root: string,
  name: string,
  hosts: Readonly<Record<string, string>>,
  over: Readonly<Record<string, unknown>> = {},
): Promise<ClusterState> {
  const paths = statePaths(root, name);
  mkdirSync(paths.dir, { recursive: true });
  const state = {
    schema: 1,
    id: `id-of-${name}`,
    name,
    phase: 'running',
    image: { name: 'k8s:v1.20.2', digest: `sha256:${'0'.repeat(64)}` },
    runtime: 'k8s',
    version: 'v1.20.2',
    dataRoot: '/var/lib/slipway',
    registry: { domain: 'sea.hub', port: 5000 },
    env: {},
    envNotKept: [],
    certSANs: [],
    hosts: Object.entries(hosts).map(([address, role], index) => ({
      address,
      roles: role.split(','),
      hostname: `host-${index}`,
      machineId: `machine-${index}`,
      ssh: { user: 'root', port: 22 },
      env: {},
      index,
    })),
    created: '2026-01-01T00:00:00.000Z',
    updated: '2026-01-01T00:00:00.000Z',
    ...over,
  };
  writeFileSync(paths.state, JSON.stringify(state));
  const read = await readClusterState(paths);
  if (read === undefined) throw new Error(`${paths.state} is not there`);
  return read;
}

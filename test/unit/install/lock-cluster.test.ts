import { expect, it } from 'vitest';
import { lockCluster } from '../../../src/install/cluster-hosts/lock-hosts.js';
import { hostPaths } from '../../../src/install/state/cluster-paths.js';
import { putClusterState } from '../../support/cluster-state.js';
import { stubHost } from '../../support/stub-host.js';
import { tempDirectory } from '../../support/temp.js';

const root = tempDirectory('slipway-lock-cluster-');
const TAKEN = 'taking the lock of the host';
const GIVEN = 'giving the lock of the host back';

it('a cluster that was changed from another machine before it is locked stays unchanged, and is free again', async () => {
  const state = await putClusterState(root, 'edge', { '10.0.0.2': 'master' });
  const host = stubHost('10.0.0.2', () => undefined);
  const newer = { ...state, revision: { number: 7, id: 'of another machine' } };
  host.files.set(hostPaths(state.dataRoot, 'edge').state, JSON.stringify(newer));
  await expect(lockCluster([host], state, 'delete')).rejects.toMatchObject({
    code: 'E_CLUSTER_STATE',
    message: expect.stringContaining('cluster edge was changed from another machine: 10.0.0.2'),
  });
  expect(host.asked).toEqual([TAKEN, GIVEN]);
  const locks = await lockCluster([host], newer, 'delete');
  expect(host.asked).toEqual([TAKEN, GIVEN, TAKEN]);
  await locks.release();
});

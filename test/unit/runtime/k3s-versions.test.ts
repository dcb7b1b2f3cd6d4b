import { expect, it } from 'vitest';
import { k3sAbilities } from '../../../src/runtime/k3s/versions.js';

it.each([
  ['v1.19.4+k3s1', { embeddedEtcd: false, movesToEtcd: false, snapshots: false }],
  ['v1.19.5+k3s1', { embeddedEtcd: true, movesToEtcd: false, snapshots: true }],
  ['v1.21.5+k3s2', { embeddedEtcd: true, movesToEtcd: false, baseTemplate: false, containerd: 1 }],
  ['v1.22.1+k3s1', { movesToEtcd: false }],
  ['v1.22.2+k3s2', { movesToEtcd: true, baseTemplate: false }],
  ['v1.24.16+k3s1', { baseTemplate: false }],
  ['v1.24.17+k3s1', { baseTemplate: true }],
  ['v1.25.12+k3s1', { baseTemplate: false }],
  ['v1.28.1+k3s1', { baseTemplate: true, containerd: 1 }],
  ['v1.30.4+k3s1', { embeddedEtcd: true, movesToEtcd: true, baseTemplate: true, containerd: 1, snapshots: true }],
  ['v1.31.5+k3s1', { containerd: 1 }],
  ['v1.31.6+k3s1', { containerd: 2 }],
  ['v1.32.1+k3s1', { containerd: 1 }],
  ['v1.33.0+k3s1', { containerd: 2, baseTemplate: true, movesToEtcd: true }],
  ['v1.21.1+k3s1', { snapshots: true, snapshotSave: false, certificateRotate: false }],
  ['v1.21.8+k3s1', { snapshotSave: true, certificateRotate: true }],
  ['v1.20.14+k3s1', { snapshotSave: false, certificateRotate: true }],
  ['v1.22.4+k3s1', { certificateRotate: false }],
  ['v1.23.1+k3s1', { snapshotSave: true, certificateRotate: true }],
])('k3s %s can %j', (version, abilities) => {
  expect(k3sAbilities(version)).toMatchObject(abilities);
});

it('does not know releases that cannot read a file', () => {
  expect(() => k3sAbilities('v1.18.20+k3s1')).toThrow('k3s v1.18.20+k3s1 is older than v1.19.1');
});

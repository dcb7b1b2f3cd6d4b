import semver from 'semver';
import { SlipwayError } from '../../base/errors.js';
import { parseKubeVersion } from '../kubernetes/version.js';

/** What a release of k3s can do that others cannot. */
export interface K3sAbilities {
  /** Several servers, with etcd inside. */
  readonly embeddedEtcd: boolean;
  /** A server that began alone, with SQLite, moves its data to etcd when it starts with `cluster-init`. Before, they were lost. */
  readonly movesToEtcd: boolean;
  /** `config.toml.tmpl` may include what k3s itself would write as `{{ template "base" . }}`. */
  readonly baseTemplate: boolean;
  /** The containerd inside: its configuration has other names in 2. */
  readonly containerd: 1 | 2;
  /** `k3s etcd-snapshot` exists. */
  readonly snapshots: boolean;
  /** `k3s etcd-snapshot save`: before, the command took no arguments, and saved. */
  readonly snapshotSave: boolean;
  /** `k3s certificate rotate` exists. */
  readonly certificateRotate: boolean;
}

type Ability = Exclude<keyof K3sAbilities, 'containerd'> | 'containerd2';

/**
 * Since when: of each release branch the first patch release that can; branches that are newer than the last one named can as well,
 * those older than the first cannot.
 * Source: release notes of k3s; its pull requests 3336 (etcd-snapshot save), 4632, 4633 and 4635 (certificate rotate); k3s-io/docs: datastore/ha-embedded.md (migration), advanced.md (base template, containerd 2).
 */
const SINCE: Readonly<Record<Ability, readonly string[]>> = {
  embeddedEtcd: ['1.19.5'],
  snapshots: ['1.19.5'],
  snapshotSave: ['1.21.2'],
  certificateRotate: ['1.20.14', '1.21.8', '1.22.5'],
  movesToEtcd: ['1.22.2'],
  baseTemplate: ['1.24.17', '1.25.13', '1.26.8', '1.27.5', '1.28.1'],
  containerd2: ['1.29.15', '1.30.11', '1.31.6', '1.32.2'],
};

/** The oldest release that reads its settings from a file. */
const OLDEST = '1.19.1';

/** @throws SlipwayError E_UNSUPPORTED for a release that is too old, E_INVALID_METADATA for no version. Pure. */
export function k3sAbilities(version: string): K3sAbilities {
  const parsed = parseKubeVersion(version);
  if (semver.lt(parsed, OLDEST)) {
    throw new SlipwayError(
      'E_UNSUPPORTED',
      `k3s ${version} is older than v${OLDEST}, the oldest that reads its settings from a file`,
    );
  }
  const can = (ability: Ability): boolean => isSince(parsed, SINCE[ability]);
  return {
    embeddedEtcd: can('embeddedEtcd'),
    snapshots: can('snapshots'),
    snapshotSave: can('snapshotSave'),
    certificateRotate: can('certificateRotate'),
    movesToEtcd: can('movesToEtcd'),
    baseTemplate: can('baseTemplate'),
    containerd: can('containerd2') ? 2 : 1,
  };
}

function isSince(version: semver.SemVer, firsts: readonly string[]): boolean {
  const branch = firsts.find((first) => semver.minor(first) === version.minor && semver.major(first) === version.major);
  return branch === undefined ? semver.gt(version, firsts.at(-1) ?? '0.0.0') : semver.gte(version, branch);
}

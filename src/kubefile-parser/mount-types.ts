import type { StageOrImage, Word } from './parts.js';

/** `RUN --mount=…`. The meaning of the options is Docker's; what Docker leaves to a default is filled in. */
export type Mount = BindMount | CacheMount | TmpfsMount | SecretMount;

export interface BindMount {
  readonly type: 'bind';
  /** Absent: the build context. */
  readonly from?: StageOrImage;
  /** Absent: the root of `from`. */
  readonly source?: Word;
  readonly target: Word;
  /** True unless `rw` is given; what is written is thrown away. */
  readonly readOnly: boolean;
}

export interface CacheMount {
  readonly type: 'cache';
  /** Absent: the target, once expanded. Data, never a path. */
  readonly id?: Word;
  readonly target: Word;
  /** What a new cache starts with. */
  readonly from?: StageOrImage;
  readonly source?: Word;
  readonly sharing: 'shared' | 'private' | 'locked';
  readonly readOnly: boolean;
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
}

export interface TmpfsMount {
  readonly type: 'tmpfs';
  readonly target: Word;
  /** Upper limit in bytes. */
  readonly size?: number;
}

export interface SecretMount {
  readonly type: 'secret';
  /** Absent: the last name of the target. One of the two is there. */
  readonly id?: Word;
  /** Absent: `/run/secrets/<id>`, or no file at all when `env` is given. */
  readonly target?: Word;
  /** The variable that carries the secret. */
  readonly env?: Word;
  /** Fail when the build is not given the secret. */
  readonly required: boolean;
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
}

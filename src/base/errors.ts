import { constants } from 'node:os';
import { redact } from './redact.js';

/**
 * Every stable error code, with the exit code the process ends with when it reaches the CLI.
 * Documented in docs/errors.md; a code is never renamed.
 */
export const ERROR_CODES = {
  /** Wrong flags or arguments. */
  E_USAGE: 2,
  /** One or more mistakes in a Kubefile; the message lists them all. */
  E_KUBEFILE_SYNTAX: 2,
  /** A mistake in a Clusterfile. */
  E_CLUSTERFILE: 2,
  /** A reference, digest, platform or semver that cannot be read. */
  E_INVALID_REFERENCE: 2,
  E_INVALID_DIGEST: 1,
  E_INVALID_PLATFORM: 2,
  /** An OCI document (manifest, index, config) that is malformed or ambiguous. */
  E_INVALID_MANIFEST: 1,
  /** Metadata at the rootfs root is missing, malformed, or contradicts the target platform. */
  E_INVALID_METADATA: 1,
  E_DIGEST_MISMATCH: 1,
  E_SIZE_MISMATCH: 1,
  /** An image, tag, layer, blob or file that was asked for and is not there. */
  E_NOT_FOUND: 1,
  /** imageList.lock does not have an image, or is no lock file. */
  E_STALE_LOCK: 1,
  /** COPY, ADD: source missing, hidden or outside the context; file over directory … */
  E_COPY: 1,
  /** What a URL names could not be downloaded. */
  E_DOWNLOAD: 1,
  /** Images that contradict each other and cannot be merged. */
  E_CONFLICT: 1,
  /** A RUN command failed; the message carries its exit code and last lines. */
  E_RUN_FAILED: 1,
  /** Understood, but not supported by this version. */
  E_UNSUPPORTED: 1,
  /** An archive that tries to leave its root or breaks a limit. */
  E_UNSAFE_ARCHIVE: 1,
  /** An archive that is truncated or malformed. */
  E_BAD_ARCHIVE: 1,
  /** A file changed while it was being read. */
  E_FILE_CHANGED: 1,
  E_NO_SPACE: 1,
  /** The store is damaged or of an unknown layout. */
  E_STORE: 1,
  E_LOCKED: 1,
  /** A program of the host that is needed is not installed. */
  E_MISSING_PROGRAM: 1,
  /** Not enough rights on this machine. */
  E_PERMISSION: 1,
  E_MOUNT: 1,
  /** The registry could not be reached. */
  E_REGISTRY_UNREACHABLE: 1,
  /** The registry answered, and the answer is an error. */
  E_REGISTRY: 1,
  E_UNAUTHORIZED: 1,
  E_HOST_UNREACHABLE: 1,
  E_HOST_AUTH: 1,
  /** The host's SSH key is not the one on record. */
  E_HOST_KEY: 1,
  /** A command on a host failed. */
  E_HOST_COMMAND: 1,
  /** Preflight found something that must be mended before anything is changed. */
  E_PREFLIGHT: 1,
  /** The cluster is in a state that the operation cannot start from. */
  E_CLUSTER_STATE: 1,
  /** The system failed: an i/o error of the disk, no more open files, processes or memory. */
  E_SYSTEM: 1,
  E_TIMEOUT: 1,
  E_INTERRUPTED: 130,
  /** A bug of ours. */
  E_INTERNAL: 1,
} as const;

export type ErrorCode = keyof typeof ERROR_CODES;

export interface ErrorDetails {
  /** The next step for the person reading, one sentence. */
  readonly hint?: string;
  readonly cause?: unknown;
  /** Facts for `--format json`, never secrets. */
  readonly details?: Readonly<Record<string, unknown>>;
}

/**
 * The one error class of Slipway. The message says what was being done, to which thing (file:line:column, image,
 * host) and why it failed. Message and hint are redacted on construction: credentials in URLs never survive.
 */
export class SlipwayError extends Error {
  readonly code: ErrorCode;
  readonly hint: string | undefined;
  readonly details: Readonly<Record<string, unknown>> | undefined;

  constructor(code: ErrorCode, message: string, { hint, cause, details }: ErrorDetails = {}) {
    super(redact(message), cause === undefined ? undefined : { cause });
    this.name = 'SlipwayError';
    this.code = code;
    this.hint = hint === undefined ? undefined : redact(hint);
    this.details = details;
  }

  get exitCode(): number {
    return ERROR_CODES[this.code];
  }
}

/** True when `error` is a SlipwayError, optionally with one of `codes`. */
export function isSlipwayError(error: unknown, ...codes: ErrorCode[]): error is SlipwayError {
  return error instanceof SlipwayError && (codes.length === 0 || codes.includes(error.code));
}

/** The errno name (`ENOENT`, `ECONNRESET` …) of a Node error, or undefined. */
export function errnoOf(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null || !('code' in error)) return undefined;
  if (typeof error.code !== 'string') return undefined;
  // Node has no names for some, EDQUOT among them: only their number.
  if (!/^unknown/i.test(error.code) || !('errno' in error)) return error.code;
  return Object.entries(constants.errno).find(([, number]) => number === -Number(error.errno))?.[0] ?? error.code;
}

/** What went wrong, as one line. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/**
 * Turns the errors of the system that mean the same everywhere (disk full, read-only, no permission, a broken disk, a limit that is reached)
 * into a SlipwayError that names `what` was being done; anything else is returned as it is.
 */
export function fileSystemError(error: unknown, what: string): unknown {
  switch (errnoOf(error)) {
    case 'ENOSPC':
    case 'EDQUOT':
      return new SlipwayError('E_NO_SPACE', `no space left on the disk while ${what}`, {
        hint: 'free some space ("slipway prune --build-cache" may), or use another place with --root DIR',
        cause: error,
      });
    case 'EACCES':
    case 'EPERM':
    case 'EROFS':
      return new SlipwayError('E_PERMISSION', `not allowed while ${what}: ${messageOf(error)}`, { cause: error });
    case 'EIO':
    case 'ESTALE':
      return new SlipwayError('E_SYSTEM', `the disk failed while ${what}: ${messageOf(error)}`, {
        hint: 'the disk or the way to it is broken: see what the kernel says of it (dmesg)',
        cause: error,
      });
    case 'EMFILE':
    case 'ENFILE':
      return new SlipwayError('E_SYSTEM', `too many open files while ${what}: ${messageOf(error)}`, {
        hint: 'raise the limit (ulimit -n), or end what else is running',
        cause: error,
      });
    case 'ENOMEM':
    case 'EAGAIN':
      return new SlipwayError('E_SYSTEM', `no more memory or processes while ${what}: ${messageOf(error)}`, {
        hint: 'end what else is running, or raise the limit (ulimit -u)',
        cause: error,
      });
    default:
      return error;
  }
}

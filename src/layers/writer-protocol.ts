import { SlipwayError } from '../base/errors.js';
import type { TarLimits } from './tar-limits.js';
import type { TreeWriterOptions } from './tree-writer.js';
import type { Xattrs } from './xattrs.js';

/** What a writer is to do with the tar that follows. */
export interface WriterTask {
  readonly root: string;
  readonly options: TreeWriterOptions;
  readonly limits: Partial<TarLimits>;
}

/** Frames to the writer: a letter, a length in four bytes, and as many bytes. */
export const FRAME = { task: 0x54, tar: 0x44, end: 0x45 } as const;
export const FRAME_HEADER = 5;

export type FrameKind = (typeof FRAME)[keyof typeof FRAME];

export function frameHeader(kind: FrameKind, length: number): Buffer {
  const header = Buffer.allocUnsafe(FRAME_HEADER);
  header[0] = kind;
  header.writeUInt32BE(length, 1);
  return header;
}

/**
 * Lines of JSON from the writer. It is `ready` when it runs; each task ends with `written` or `failed`, and before that come the `attributes`
 * that only a process with more rights may set.
 */
export type WriterAnswer =
  | { readonly is: 'ready' | 'written' }
  | { readonly is: 'attributes'; readonly path: string; readonly xattrs: Xattrs }
  | ({ readonly is: 'failed' } & WriterFailure);

export interface WriterFailure {
  /** A SlipwayError's code, or an errno. */
  readonly code?: string | undefined;
  readonly slipway: boolean;
  readonly message: string;
  readonly hint?: string | undefined;
}

/** What is sent for an error, which would lose its class on the way. */
export function failureOf(error: unknown): WriterFailure {
  if (error instanceof SlipwayError)
    return { code: error.code, slipway: true, message: error.message, hint: error.hint };
  const code = typeof error === 'object' && error !== null && 'code' in error ? String(error.code) : undefined;
  return { code, slipway: false, message: error instanceof Error ? error.message : String(error) };
}

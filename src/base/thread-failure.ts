import { type ErrorCode, SlipwayError } from './errors.js';

/** An error as it travels from a thread, where it would lose its class. */
export interface ThreadFailure {
  /** A SlipwayError's code, or an errno. */
  readonly code: string | undefined;
  readonly slipway: boolean;
  readonly message: string;
  readonly hint: string | undefined;
}

export function failureOf(error: unknown): ThreadFailure {
  if (error instanceof SlipwayError)
    return { code: error.code, slipway: true, message: error.message, hint: error.hint };
  const code = typeof error === 'object' && error !== null && 'code' in error ? String(error.code) : undefined;
  return { code, slipway: false, message: error instanceof Error ? error.message : String(error), hint: undefined };
}

export function errorOf({ code, slipway, message, hint }: ThreadFailure): Error {
  if (slipway) return new SlipwayError(code as ErrorCode, message, hint === undefined ? {} : { hint });
  return Object.assign(new Error(message), code === undefined ? {} : { code });
}

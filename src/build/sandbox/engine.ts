import type { Ending } from './launcher.js';
import type { Placement } from './placement.js';
import type { SandboxRequest } from './sandbox-request.js';

/** What an engine is given: everything is resolved and in its place. */
export interface EngineRun {
  /** Absolute path of the engine. */
  readonly program: string;
  readonly request: SandboxRequest;
  readonly placement: Placement;
  readonly runDirectory: string;
  /** What is left of the request's time. */
  readonly timeoutMs: number | undefined;
}

/** What became of it. */
export interface EngineResult {
  readonly ending: Ending;
  /** The command's exit code; undefined when the engine failed before it could start the command. */
  readonly code: number | undefined;
}

/** Exit codes of a shell for a program that is not there, and for one that cannot be executed. */
export const NOT_FOUND = 127;
export const NOT_EXECUTABLE = 126;

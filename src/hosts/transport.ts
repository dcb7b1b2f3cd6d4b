import { constants } from 'node:os';
import type { Readable, Writable } from 'node:stream';

/** How a process ended. */
export interface ExitStatus {
  /** Exit code; 128 + the signal's number when a signal ended it, as shells say it. */
  readonly code: number;
  /** `SIGKILL` …, when a signal ended it. */
  readonly signal: string | undefined;
}

/** Code and signal as a shell would say them in `$?`. */
export function exitStatus(code: number | null | undefined, signal: string | null | undefined): ExitStatus {
  if (code !== null && code !== undefined) return { code, signal: undefined };
  const signals: Readonly<Record<string, number>> = constants.signals;
  return { code: 128 + (signals[signal ?? ''] ?? 0), signal: signal ?? 'unknown' };
}

/** One running command. */
export interface ExecChannel {
  readonly stdin: Writable;
  readonly stdout: Readable;
  readonly stderr: Readable;
  /**
   * Settles when the process has ended; output may still be on its way.
   * @throws SlipwayError E_HOST_UNREACHABLE when the connection was lost first.
   */
  readonly exited: Promise<ExitStatus>;
  /** Settles when both outputs are at their end, whether or not the process said how it ended. Never rejects. */
  readonly closed: Promise<void>;
  /** Lets go of the channel. Does not end the process. */
  close(): void;
}

/** A way to start commands on a machine as the login user. Implementations: an SSH connection, this machine. */
export interface Transport {
  /** `host 10.0.0.1` for the beginning of a message. */
  readonly name: string;
  /**
   * Starts a command line, which must be constant text: nothing that varies is ever part of it.
   * @throws SlipwayError E_HOST_UNREACHABLE, E_HOST_AUTH, E_HOST_KEY; {@link ChannelRefused}.
   */
  exec(command: string): Promise<ExecChannel>;
  /** Ends the connection; commands still running see it as lost. */
  close(): Promise<void>;
}

/** The host is connected but would not open one more channel (sshd's MaxSessions). */
export class ChannelRefused extends Error {
  override readonly name = 'ChannelRefused';
}

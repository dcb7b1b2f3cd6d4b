import type { Readable, Writable } from 'node:stream';

/** How a command on a host ended, with what it printed (bounded: the middle of very long output is dropped, and said so). */
export interface CommandResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  /** Exported to the script. Values never appear on a command line. */
  readonly env?: Readonly<Record<string, string>>;
  /**
   * What the script reads on its standard input. Default: nothing (/dev/null). Streams are read with back-pressure; one
   * that fails ends the script (which never mistakes the cut for the end); one that the script left unread is destroyed.
   */
  readonly stdin?: Readable | Uint8Array | string;
  /**
   * Receives the bytes of stdout, with back-pressure, in place of `CommandResult.stdout` (which is '' then) and of
   * `onOutput`. Ended when the script has ended; destroyed when the run fails in any other way than by its exit code.
   */
  readonly stdout?: Writable;
  /** The whole command must end within this; default 10 minutes. 0 waits for ever. */
  readonly timeoutMs?: number;
  /** This long without output, and without taking any of `stdin`, ends the command; default none. */
  readonly idleTimeoutMs?: number;
  /** Called with each piece of output as it comes. Not redacted. */
  readonly onOutput?: (text: string, stream: 'stdout' | 'stderr') => void;
  /** A non-zero exit code is a result, not an error. */
  readonly allowFailure?: boolean;
  /** Names the command in errors and logs, for example `kubeadm init`. Default: the script's first line. */
  readonly title?: string;
  readonly signal?: AbortSignal;
  /** Working directory on the host. */
  readonly cwd?: string;
}

/** Facts gathered in one round trip. */
export interface HostFacts {
  readonly hostname: string;
  readonly machineId: string;
  /** GOARCH name: amd64, arm64 … */
  readonly architecture: string;
  /** `Debian GNU/Linux 12 (bookworm)` from os-release, or '' when unknown. */
  readonly osName: string;
  readonly kernel: string;
  /** Host clock minus this machine's clock, in milliseconds, round trip halved. */
  readonly clockSkewMs: number;
  readonly cpus: number;
  readonly memoryBytes: number;
  /** Free bytes at the place asked for. */
  readonly diskFreeBytes: number;
  /** TCP ports something listens on. */
  readonly listeningPorts: readonly number[];
  /** Programs of those asked for that are on PATH. */
  readonly programs: readonly string[];
  readonly uid: number;
  readonly systemd: boolean;
  readonly swapOn: boolean;
}

/**
 * A machine that commands run on as root (through sudo when the login user is not root). sealer's InfraDriver, for one host.
 * Implementations: SSH, and this machine. Every method throws SlipwayError (E_HOST_UNREACHABLE, E_HOST_AUTH, E_HOST_KEY,
 * E_HOST_COMMAND, E_TIMEOUT) whose message names the host.
 */
export interface Host {
  /** The IP address by which the cluster knows it. */
  readonly address: string;
  readonly local: boolean;
  /**
   * Runs a POSIX sh script as root. The text travels on standard input, never on a command line; `options.stdin` follows it.
   * At most eight run at once, more wait. A script that is timed out, aborted, or left by a lost connection is ended on
   * the host, with everything it started that did not make itself a daemon.
   * @throws SlipwayError E_HOST_COMMAND on a non-zero exit unless `allowFailure`; the message has the last lines printed.
   * E_TIMEOUT; E_INTERRUPTED when `signal` is aborted; E_HOST_UNREACHABLE when the connection is lost meanwhile.
   */
  run(script: string, options?: RunOptions): Promise<CommandResult>;
  /** Writes a file: temporary name, sha256 verified on the host, owner root, mode 0644 unless given, rename. Parents are made. */
  writeFile(path: string, content: Uint8Array | string, options?: { readonly mode?: number }): Promise<void>;
  /** Reads a file of at most 16 MiB; undefined when it does not exist. */
  readFile(path: string): Promise<Buffer | undefined>;
  exists(path: string): Promise<boolean>;
  /** Facts in one round trip; `diskPath` (default `/var/lib`) need not exist yet. */
  facts(options?: { readonly diskPath?: string; readonly programs?: readonly string[] }): Promise<HostFacts>;
  /** Ends the connection, and whatever still runs on it. The next call connects again. */
  close(): Promise<void>;
}

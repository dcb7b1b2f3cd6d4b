/** Where a RUN command runs: among the machine's own programs, or inside the merged rootfs. */
export type Isolation = 'host' | 'container';

/** Which of the command's two streams a piece of output came from. */
export type OutputStream = 'stdout' | 'stderr';

/**
 * What `RUN --mount` adds to the command's view of the file system. Sources are existing paths of the machine, resolved by the
 * caller. A target is what the command calls it: absolute, or relative to the working directory. In container mode an
 * absolute target is a path of the rootfs; in host mode it is a path of the machine's file system as the command sees it
 * (`/run/secrets/token`), and a relative one lies in the rootfs.
 */
export type SandboxMount =
  | { readonly type: 'bind'; readonly source: string; readonly target: string; readonly readonly: boolean }
  | { readonly type: 'tmpfs'; readonly target: string; readonly sizeBytes?: number }
  | {
      readonly type: 'secret';
      /** Reaches the command through memory, never through a disk. */
      readonly content: Uint8Array;
      readonly target: string;
      /** Permission bits; 0400 when not given. */
      readonly mode?: number;
      readonly uid?: number;
      readonly gid?: number;
    };

/** One command to run, and all it may see and touch. */
export interface SandboxRequest {
  /**
   * The merged, writable directory, usually an overlay mount of the caller. Nobody else may write to it meanwhile. One of its
   * parents must be closed to other users: a command may leave setuid programs in it.
   */
  readonly rootfs: string;
  readonly isolation: Isolation;
  /** The program and its arguments, such as `['/bin/sh', '-c', TEXT]`. */
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** Inside the rootfs: `/` is its root. Made (0755) when it is missing, as Docker does. */
  readonly cwd: string;
  /** `user[:group]`, names or numbers; root when not given. */
  readonly user?: string;
  readonly network: 'host' | 'none';
  readonly mounts: readonly SandboxMount[];
  /** What the command reads from its standard input; nothing when not given. */
  readonly stdin?: Uint8Array;
  readonly onOutput: (chunk: Buffer, stream: OutputStream) => void;
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
  /** An existing private directory of the caller; files of a run live in a directory of their own in it and go with the run. */
  readonly scratch: string;
  /** Directories of the machine that a host mode command shall find empty, such as the store. */
  readonly hide?: readonly string[];
}

/** How a command ended. */
export interface SandboxResult {
  /** The exit code; 128 + the signal's number when a signal ended it. */
  readonly code: number;
  /** Set when the whole sandbox was ended by a signal from outside that was not ours. */
  readonly signal?: string;
  /** The program that made the sandbox. */
  readonly engine: 'bwrap' | 'runc';
}

import { join } from 'node:path';

/** A file that exists only in a tmpfs of the sandbox's mount namespace, and is gone with it. */
export interface MemoryFile {
  /** Relative to that tmpfs. */
  readonly name: string;
  readonly content: Uint8Array;
  /** Permission bits. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
}

/** A file of root's that nobody else may read. */
export function rootsFile(name: string, content: string): MemoryFile {
  return { name, content: Buffer.from(content), mode: 0o600, uid: 0, gid: 0 };
}

/** Where the sandbox has a memory file. */
export function inMemory(runDirectory: string, name: string): string {
  return join(runDirectory, 'private', name);
}

/** What tells the launch script which files come through its descriptor 3, one after the other. */
export function memoryFileArguments(files: readonly MemoryFile[]): readonly string[] {
  return files.flatMap(({ name, content, mode, uid, gid }) => [
    'file',
    name,
    mode.toString(8),
    String(uid),
    String(gid),
    String(content.length),
  ]);
}

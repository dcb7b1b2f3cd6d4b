import { spawn } from 'node:child_process';
import { constants, openSync } from 'node:fs';
import { Socket } from 'node:net';

/** A pipe to or from a child process: `end` is ours, `fd` the child's, to be closed here once it is started. */
export interface ChildPipe {
  readonly end: Socket;
  readonly fd: number;
}

/** Holds three pipes (as its file descriptors 3, 4, 5) until its standard input ends, and says its process id. */
const HOLDER =
  'exec 8>&1 9<&0; : | { exec 3<&0; : | { exec 4<&0; : | { exec 5<&0; ' +
  'read -r pid rest </proc/self/stat; echo "$pid" >&8; exec 8>&-; read -r rest <&9; }; }; }';

/**
 * Three pipes for a child's stdin, stdout and stderr. Node gives its children sockets, and a socket cannot be opened by
 * name: `echo trouble >/dev/stderr`, which works over SSH, would fail. Node cannot make pipes, so a shell makes them, and
 * both ends are opened from its /proc/PID/fd (proc(5): that opens the same pipe once more).
 * @throws Error when no shell can be started or /proc is not there
 */
export async function makeChildPipes(): Promise<{ stdin: ChildPipe; stdout: ChildPipe; stderr: ChildPipe }> {
  const holder = spawn('/bin/sh', ['-c', HOLDER], { stdio: ['pipe', 'pipe', 'ignore'] });
  try {
    const pid = await new Promise<string>((resolve, reject) => {
      holder.once('error', reject);
      holder.stdout.once('data', (text: Buffer) => resolve(text.toString().trim()));
      holder.stdout.once('end', () => reject(new Error('/bin/sh makes no pipes')));
    });
    const open = (fd: number, flags: number): number => openSync(`/proc/${pid}/fd/${fd}`, flags);
    const fromChild = (fd: number): ChildPipe => ({
      end: new Socket({ fd: open(fd, constants.O_RDONLY | constants.O_NONBLOCK), readable: true, writable: false }),
      fd: open(fd, constants.O_WRONLY),
    });
    const toChild = (fd: number): ChildPipe => ({
      end: new Socket({ fd: open(fd, constants.O_WRONLY | constants.O_NONBLOCK), readable: false, writable: true }),
      fd: open(fd, constants.O_RDONLY),
    });
    return { stdin: toChild(3), stdout: fromChild(4), stderr: fromChild(5) };
  } finally {
    holder.stdin.on('error', () => {});
    holder.stdin.end();
  }
}

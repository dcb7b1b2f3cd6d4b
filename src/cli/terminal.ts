import { closeSync, fstatSync, openSync, readFileSync, statSync } from 'node:fs';
import { basename } from 'node:path';
import { isatty } from 'node:tty';

const STANDARD = [0, 1, 2] as const;

/**
 * Lets this process end in order on a terminal that is closed meanwhile. Node.js puts terminals back as they were when it ends, and aborts with
 * a stack where that fails (its ResetStdio): what is a terminal no more is replaced before that.
 */
export function outliveTerminal(): void {
  const terminals = STANDARD.filter((fd) => isatty(fd));
  process.on('exit', () => {
    for (const fd of terminals) {
      if (isatty(fd)) continue;
      closeSync(fd);
      // The lowest number that is free, which is the one that was closed.
      openSync('/dev/null', 'r+');
    }
  });
}

/** Whether an error of standard output says that it was a terminal, which is closed. */
export function isOfClosedTerminal({ code }: NodeJS.ErrnoException): boolean {
  return code === 'EIO' && fstatSync(1).isCharacterDevice();
}

/**
 * Whether this was started by nohup(1). Node.js forgets that it was told to ignore SIGHUP, so nohup is known by its traces: shells write the
 * program they start to `_`, and in the place of a terminal as standard input nohup gives a /dev/null that cannot be read.
 */
export function isUnderNohup(env: NodeJS.ProcessEnv = process.env): boolean {
  return basename(env._ ?? '') === 'nohup' || inputIsClosedToReading();
}

function inputIsClosedToReading(): boolean {
  try {
    if (fstatSync(0).rdev !== statSync('/dev/null').rdev) return false;
    const flags = /^flags:\s*([0-7]+)$/m.exec(readFileSync('/proc/self/fdinfo/0', 'utf8'))?.[1] ?? '0';
    return flags.endsWith('1');
  } catch {
    return false;
  }
}

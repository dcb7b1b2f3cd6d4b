import { spawn } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';

/** A lock that this process holds. */
export interface FileLock {
  release(): Promise<void>;
}

/**
 * Waits until no other process holds the lock of this file, for as long as it takes, and holds it. The lock is held by a child that ends
 * with our end of its standard input: a killed test run holds nothing.
 */
export async function lockFile(file: string): Promise<FileLock> {
  mkdirSync(dirname(file), { recursive: true });
  const holder = spawn('flock', [file, 'sh', '-c', 'echo locked; exec cat'], { stdio: ['pipe', 'pipe', 'inherit'] });
  await new Promise<void>((resolve, reject) => {
    holder.once('error', reject);
    holder.once('exit', (code) => reject(new Error(`${file} cannot be locked (flock ended with ${code})`)));
    holder.stdout.once('data', () => resolve());
  });
  holder.unref();
  return {
    release: async () => {
      const exit = new Promise((resolve) => holder.once('exit', resolve));
      holder.stdin.end();
      await exit;
    },
  };
}

import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import ts from 'typescript';
import { runSandboxed } from '../../../../src/build/sandbox/sandbox.js';
import type { SandboxRequest, SandboxResult } from '../../../../src/build/sandbox/sandbox-request.js';

const SOURCE = join(import.meta.dirname, '../../../../src');

export interface Fixture {
  readonly home: string;
  readonly rootfs: string;
  readonly scratch: string;
  /** Puts busybox and its applets in the rootfs. */
  addBusybox(): void;
  /** Runs a shell command, or an argv. */
  run(command: string | readonly string[], more?: Partial<SandboxRequest>): Promise<Ran>;
  remove(): void;
}

export interface Ran extends SandboxResult {
  readonly stdout: string;
  readonly stderr: string;
}

/** A rootfs and a scratch directory below os.tmpdir(). */
export function createFixture(isolation: 'host' | 'container'): Fixture {
  const home = mkdtempSync(join(tmpdir(), 'slipway-run-'));
  const rootfs = join(home, 'rootfs');
  const scratch = join(home, 'scratch');
  for (const directory of [rootfs, scratch]) mkdirSync(directory);
  return {
    home,
    rootfs,
    scratch,
    addBusybox() {
      mkdirSync(join(rootfs, 'bin'));
      cpSync('/bin/busybox', join(rootfs, 'bin/busybox'));
      for (const applet of readFileSync(join(import.meta.dirname, 'applets.txt'), 'utf8')
        .trim()
        .split(' '))
        symlinkSync('busybox', join(rootfs, 'bin', applet));
    },
    async run(command, more = {}) {
      const output = { stdout: '', stderr: '' };
      const result = await runSandboxed({
        rootfs,
        isolation,
        argv: typeof command === 'string' ? ['/bin/sh', '-c', command] : command,
        env: {},
        cwd: '/',
        network: 'none',
        mounts: [],
        scratch,
        onOutput: (chunk, stream) => {
          output[stream] += chunk.toString();
        },
        ...more,
      });
      return { ...result, ...output };
    },
    remove: () => rmSync(home, { recursive: true, force: true }),
  };
}

/** Pids of this machine's processes that have `marker` in their command line. */
export function processesWith(marker: string): readonly string[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && name !== String(process.pid))
    .filter((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(marker);
      } catch {
        return false;
      }
    });
}

export async function until(condition: () => boolean, what: string, patienceMs = 20_000): Promise<void> {
  const end = performance.now() + patienceMs;
  while (!condition()) {
    if (performance.now() > end) throw new Error(`waited in vain until ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** Compiles the sandbox to JavaScript so that a Node of its own can run it. Gives the path of sandbox.js. */
export function compileSandbox(directory: string): string {
  for (const room of ['base', 'build/sandbox']) {
    mkdirSync(join(directory, room), { recursive: true });
    for (const name of readdirSync(join(SOURCE, room)).filter((file) => file.endsWith('.ts'))) {
      const { outputText } = ts.transpileModule(readFileSync(join(SOURCE, room, name), 'utf8'), {
        compilerOptions: { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2022 },
      });
      writeFileSync(join(directory, room, name.replace(/\.ts$/, '.js')), outputText);
    }
  }
  writeFileSync(join(directory, 'package.json'), '{"type":"module"}');
  return join(directory, 'build/sandbox/sandbox.js');
}

import { spawnSync } from 'node:child_process';
import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { buildSync } from 'esbuild';

const project = fileURLToPath(new URL('../../..', import.meta.url));

/** Compiles this room with all that it imports into `dir/layers`, for tests that need a process of their own. */
export function compileLayers(dir: string): void {
  writeFileSync(join(dir, 'package.json'), '{"type":"module"}');
  buildSync({
    absWorkingDir: project,
    entryPoints: readdirSync(join(project, 'src/layers')).map((file) => `src/layers/${file}`),
    outdir: join(dir, 'layers'),
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'node20.15',
    logLevel: 'error',
  });
}

/**
 * Runs a module in a process of its own, in the directory of {@link compileLayers}; gives what it printed as JSON.
 *
 * @param wrapper a program that starts others in another way, with its arguments.
 */
export function runCompiled<T>(
  dir: string,
  source: string,
  env: NodeJS.ProcessEnv = {},
  wrapper: readonly string[] = [],
): T {
  const file = join(dir, `script-${readdirSync(dir).length}.mjs`);
  writeFileSync(file, source);
  const [program = '', ...args] = [...wrapper, process.execPath, file];
  const { status, stdout, stderr } = spawnSync(program, args, {
    cwd: dir,
    env: { ...process.env, ...env },
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(`the process ended with ${status}: ${stderr}`);
  return JSON.parse(stdout) as T;
}

/** The compiled room, whose files are written by a process of their own, in this process. */
export async function importLayers(dir: string): Promise<typeof import('../../../src/layers/unpack.js')> {
  compileLayers(dir);
  return import(/* @vite-ignore */ pathToFileURL(join(dir, 'layers/unpack.js')).href);
}

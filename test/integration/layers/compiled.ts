import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';

const project = fileURLToPath(new URL('../../..', import.meta.url));

/** Compiles this room and what it imports into `dir`, for tests that need a process of their own. */
export function compileLayers(dir: string): void {
  symlinkSync(join(project, 'node_modules'), join(dir, 'node_modules'));
  writeFileSync(join(dir, 'package.json'), '{"type":"module"}');
  const compilerOptions = { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2022, verbatimModuleSyntax: true };
  for (const room of ['base', 'image', 'layers']) {
    mkdirSync(join(dir, room));
    for (const file of readdirSync(join(project, 'src', room)).filter((name) => name.endsWith('.ts'))) {
      const source = readFileSync(join(project, 'src', room, file), 'utf8');
      writeFileSync(
        join(dir, room, file.replace(/\.ts$/, '.js')),
        ts.transpileModule(source, { compilerOptions }).outputText,
      );
    }
  }
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

// Runs scripts/command-reference/main.ts with the commands as their sources are now, compiled or not.
import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { build } from 'esbuild';

const root = fileURLToPath(new URL('..', import.meta.url));
// Below node_modules, so that libraries are found.
const home = mkdtempSync(join(root, 'node_modules', '.command-reference-'));
try {
  const outfile = join(home, 'main.mjs');
  await build({
    absWorkingDir: root,
    entryPoints: ['scripts/command-reference/main.ts'],
    outfile,
    bundle: true,
    packages: 'external',
    format: 'esm',
    platform: 'node',
    target: 'node20.15',
    logLevel: 'warning',
  });
  await import(pathToFileURL(outfile).href);
} finally {
  rmSync(home, { recursive: true, force: true });
}

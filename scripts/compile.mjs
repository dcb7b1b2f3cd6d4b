// Bundles src/ and what it needs of its libraries into dist/, in a second; types are checked by `npm run typecheck`. Installs the npm
// dependencies first when they are missing or older than the lock file, so that one command is enough on a fresh clone.
//   node scripts/compile.mjs           the program
//   node scripts/compile.mjs --bench   what the benchmarks call of it, too
//
// One bundle, because starting is what a short command costs: loading 400 files took five times as long as `node -e 0`. Its chunks are loaded
// when they are needed, as the files were.
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const out = join(root, 'dist');

const installed = join(root, 'node_modules/.package-lock.json');
if (!existsSync(installed) || statSync(installed).mtimeMs < statSync(join(root, 'package-lock.json')).mtimeMs) {
  const { status } = spawnSync('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error'], {
    cwd: root,
    stdio: 'inherit',
  });
  if (status !== 0) process.exit(status ?? 1);
}

// Programs that run in threads or processes of their own are named *-worker.ts. All programs and chunks are put beside each other, so that
// `new URL('./x-worker.js', import.meta.url)` finds them wherever the code that says so ends up.
const sources = readdirSync(join(root, 'src'), { recursive: true });
const entryPoints = [
  'src/cli/main.ts',
  ...sources.filter((file) => file.endsWith('-worker.ts')).map((file) => `src/${file}`),
];
if (process.argv.includes('--bench')) entryPoints.push('bench/measured.ts', 'bench/measured-unpack.ts');

const { build } = await import('esbuild');
const { metafile } = await build({
  absWorkingDir: root,
  entryPoints,
  entryNames: '[name]',
  chunkNames: '[name]-[hash]',
  outdir: out,
  bundle: true,
  minifySyntax: true,
  minifyWhitespace: true,
  splitting: true,
  format: 'esm',
  platform: 'node',
  target: 'node20.15',
  // It loads a native addon when there is one.
  external: ['ssh2'],
  // CommonJS libraries in an ES module.
  banner: { js: "import { createRequire } from 'node:module';\nconst require = createRequire(import.meta.url);" },
  sourcemap: true,
  sourcesContent: false,
  legalComments: 'external',
  metafile: true,
  logLevel: 'warning',
});
sweep(Object.keys(metafile.outputs).map((file) => file.replace(/^dist\//, '')));

/** Removes chunks of earlier versions, but those that a program which runs at the moment may still want to load stay for an hour. */
function sweep(current) {
  const kept = new Set(current);
  for (const name of readdirSync(out)) {
    const file = join(out, name);
    if (!kept.has(name) && Date.now() - statSync(file).mtimeMs > 3_600_000) rmSync(file, { recursive: true });
  }
}

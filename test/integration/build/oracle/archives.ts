import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Files, makeFiles } from './files.js';

/** The bytes of a tar of these files, made by GNU tar; `compress` is the program that packs it. */
export function tarOf(
  files: Files,
  { compress, flags = [] }: { readonly compress?: string; readonly flags?: readonly string[] } = {},
): Buffer {
  const dir = mkdtempSync(join(tmpdir(), 'slipway-oracle-'));
  try {
    makeFiles(dir, files);
    const names = Object.keys(files).map((path) => path.split('/')[0] as string);
    const tar = execFileSync('tar', ['-c', '--sort=name', '--numeric-owner', ...flags, '-C', dir, ...new Set(names)], {
      maxBuffer: 1 << 26,
    });
    return compress === undefined ? tar : execFileSync(compress, ['-c'], { input: tar, maxBuffer: 1 << 26 });
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

/** One file, as a compressor packs it: no archive. */
export function packed(content: string, compress: string): Buffer {
  return execFileSync(compress, ['-c'], { input: content });
}

import { readFile } from 'node:fs/promises';
import { basename } from 'node:path';

/**
 * What a person would call a process: its program, and of slipway the command. Nothing else of its command line is told, for there may be
 * secrets in it.
 */
export async function processName(pid: number): Promise<string> {
  const [program = '', ...args] = (await read(`/proc/${pid}/cmdline`)).split('\0');
  if (!/^node(?:js)?$/.test(basename(program))) return basename(program) || (await read(`/proc/${pid}/comm`)).trim();
  const words = args.filter((word) => word !== '' && !word.startsWith('-'));
  const script = basename(words[0] ?? program);
  return /^[a-z][a-z-]*$/.test(words[1] ?? '') && script === 'slipway' ? `${script} ${words[1]}` : script;
}

function read(file: string): Promise<string> {
  return readFile(file, 'utf8').catch(() => '');
}

// Writes the page of all commands, or says whether it is what they say:
//   node scripts/command-reference.mjs [--check] [FILE]
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { COMMANDS } from '../../src/cli/commands.js';
import { createFullProgram } from '../../src/cli/full-program.js';
import { commandReference, firstDifference } from './reference.js';

const args = process.argv.slice(2);
const [file = 'docs/commands.md'] = args.filter((arg) => arg !== '--check');
const wanted = commandReference(await createFullProgram(COMMANDS));
if (args.includes('--check')) {
  const differs = firstDifference(existsSync(file) ? readFileSync(file, 'utf8') : '', wanted);
  if (differs !== undefined) {
    process.stderr.write(`${file} is not what the commands say, first in: ${differs}\n  mend it: npm run docs\n`);
    process.exitCode = 1;
  }
} else writeFileSync(file, wanted);

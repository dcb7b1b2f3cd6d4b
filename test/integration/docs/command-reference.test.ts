// `npm run docs -- --check` is what keeps docs/commands.md true.
import { execFile } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { tempDirectory } from '../../support/temp.js';

const project = fileURLToPath(new URL('../../../', import.meta.url));
const page = readFileSync(join(project, 'docs/commands.md'), 'utf8');
const file = join(tempDirectory('slipway-docs-'), 'commands.md');

function script(args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<{ code: number; stderr: string }> {
  return new Promise((resolve) => {
    const options = { cwd: project, env: { ...process.env, ...env } };
    execFile(process.execPath, ['scripts/command-reference.mjs', ...args], options, (error, _stdout, stderr) =>
      resolve({ code: error === null ? 0 : Number(error.code), stderr }),
    );
  });
}

describe('the page of all commands', () => {
  it('is what the commands say, wherever that is asked', async () => {
    const elsewhere = {
      COLUMNS: '40',
      HOME: '/nowhere',
      XDG_DATA_HOME: '/nowhere',
      SLIPWAY_ROOT: '/nowhere',
      LANG: 'C',
    };
    expect(await script(['--check'], elsewhere)).toEqual({ code: 0, stderr: '' });
  });

  it('is refused when a command says something else, with what differs and how to mend it', async () => {
    writeFileSync(file, page.replace('`--forget`', '`--forgive`'));
    const { code, stderr } = await script(['--check', file]);
    expect(code).toBe(1);
    expect(stderr).toBe(`${file} is not what the commands say, first in: delete\n  mend it: npm run docs\n`);
    expect(await script([file])).toEqual({ code: 0, stderr: '' });
    expect(readFileSync(file, 'utf8')).toBe(page);
  });
});

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type IgnoreRules, parseIgnoreRules } from '../../../src/build/context/ignore-rules.js';
import { DirectorySource } from '../../../src/build/copy/directory-source.js';
import { pickSources } from '../../../src/build/copy/pick.js';
import { tempDirectory } from '../../support/temp.js';

const root = tempDirectory();
for (const path of ['src/a', 'node_modules/x/y/z', 'sub/node_modules/x/y']) {
  mkdirSync(join(root, path, '..'), { recursive: true });
  writeFileSync(join(root, path), '');
}

/** The source, and every path that its rules were asked about. */
function watched(text: string): { readonly source: DirectorySource; readonly asked: Set<string> } {
  const rules = parseIgnoreRules(text, '.dockerignore');
  const asked = new Set<string>();
  const watching: IgnoreRules = {
    ...rules,
    ignores(path) {
      asked.add(path);
      return rules.ignores(path);
    },
  };
  return { source: new DirectorySource(root, 'the context', ({ mode }) => mode & 0o777, watching), asked };
}

describe('a hidden directory', () => {
  it.each(['.', '*', '**', '**/*', '*/*'])('is not read for COPY %s', (name) => {
    const { source, asked } = watched('**/node_modules\n!src/generated/x\n');
    const { picks } = pickSources([{ tree: source, name }], { dialect: 'docker', parents: false });
    const below = (dir: string): string[] => [...source.walk(dir)].map(({ path }) => path);
    const shown = picks.flatMap(({ entry: { path, type } }) => [path, ...(type === 'dir' ? below(path) : [])]);
    expect(shown.filter((path) => path.includes('node_modules'))).toEqual([]);
    expect([...asked].filter((path) => path.includes('node_modules/'))).toEqual([]);
    expect(asked).toContain('node_modules');
    expect(shown).toContain('src/a');
  });

  it('is read when something in it may be excepted', () => {
    const { source } = watched('**/node_modules\n!**/y\n');
    expect([...source.walk('')].map(({ path }) => path)).toEqual([
      'node_modules',
      'node_modules/x',
      'node_modules/x/y',
      'node_modules/x/y/z',
      'src',
      'src/a',
      'sub',
      'sub/node_modules',
      'sub/node_modules/x',
      'sub/node_modules/x/y',
    ]);
  });
});

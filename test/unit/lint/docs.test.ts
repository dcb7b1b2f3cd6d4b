import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { lintReportJsonSchema } from '../../../src/lint/report.js';
import { RULES } from '../../../src/lint/rules.js';

// `npx vitest run test/unit/lint/docs.test.ts -u` writes the schema anew.
test('docs/lint.schema.json is the schema of what is printed', async () => {
  const schema = `${JSON.stringify(lintReportJsonSchema(), null, 2)}\n`;
  await expect(schema).toMatchFileSnapshot('../../../docs/lint.schema.json');
});

test('docs/lint.md has every rule as it is', () => {
  const text = readFileSync(new URL('../../../docs/lint.md', import.meta.url), 'utf8');
  const rows = text.split('\n').filter((line) => /^\| `[a-z-]+` \|/.test(line));
  expect(rows).toEqual(
    Object.entries(RULES).map(([rule, { severity, summary }]) => `| \`${rule}\` | ${severity} | ${summary} |`),
  );
});

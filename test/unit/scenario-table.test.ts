import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { KUBEADM, ROWS, scenarioTable } from '../e2e/support/scenario-table.js';

const text = (path: string): string => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8');

it.each(Object.entries(KUBEADM))('kubeadm: %s is seen by a test that is there', (_row, [file, test]) => {
  expect(text(`test/e2e/${file}.test.ts`)).toContain(`it('${test}'`);
});

it('the manual has the same rows, and names the same tests', () => {
  const manual = text('docs/runtimes.md');
  for (const row of ROWS) expect(manual).toContain(`| ${row} | \`${KUBEADM[row][0]}.test.ts\`: ${KUBEADM[row][1]} |`);
});

it('says of a row that was not seen that it was not', () => {
  const lines = scenarioTable('k3s', new Map([['init 1 master', 'ok, 12 s']])).split('\n');
  expect(lines).toHaveLength(ROWS.length + 1);
  expect(lines[0]?.trim().split(/ {2,}/)).toEqual(['k3s', 'kubeadm: is seen by']);
  expect(lines[1]?.split(/ {2,}/)).toEqual(['init 1 master', 'ok, 12 s', 'operations.long.test.ts']);
  expect(lines[2]).toContain('not seen');
});

import type { OracleCase } from './case.js';

/**
 * Prints what came out: how many cases of each area there are, how many were found equal, and every meant difference with its reason.
 * @param held the cases whose expectations held.
 */
export function printTable(cases: readonly OracleCase[], held: ReadonlySet<OracleCase>): void {
  const lines = ['', row('area', 'cases', 'equal', 'meant', 'not as expected, or not run')];
  const count = (area: string, of: readonly OracleCase[]): string => {
    const found = of.filter((test) => held.has(test));
    const meant = found.filter(({ differs }) => differs !== undefined).length;
    return row(area, ...[of.length, found.length - meant, meant, of.length - found.length].map(String));
  };
  for (const area of new Set(cases.map((test) => test.area))) {
    lines.push(
      count(
        area,
        cases.filter((test) => test.area === area),
      ),
    );
  }
  lines.push(count('all', cases), '', 'meant differences:');
  for (const { area, name, differs } of cases)
    if (differs !== undefined) lines.push(`  ${area}: ${name}\n    ${differs}`);
  process.stdout.write(`${lines.join('\n')}\n`);
}

function row(area: string, ...[all = '', equal = '', meant = '', other = '']: readonly string[]): string {
  return `${area.padEnd(16)} ${all.padStart(6)} ${equal.padStart(6)} ${meant.padStart(6)}   ${other}`;
}

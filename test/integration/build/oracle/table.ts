import type { OracleCase } from './case.js';

/** Prints how many cases of each area there are, and every meant difference with its reason. */
export function printTable(cases: readonly OracleCase[]): void {
  const lines = ['', row('area', 'cases', 'equal', 'meant differences')];
  const count = (area: string, of: readonly OracleCase[]): string => {
    const meant = of.filter(({ differs }) => differs !== undefined).length;
    return row(area, String(of.length), String(of.length - meant), String(meant));
  };
  for (const area of new Set(cases.map((test) => test.area)))
    lines.push(
      count(
        area,
        cases.filter((test) => test.area === area),
      ),
    );
  lines.push(count('all', cases), '', 'meant differences:');
  for (const { area, name, differs } of cases)
    if (differs !== undefined) lines.push(`  ${area}: ${name}\n    ${differs}`);
  process.stdout.write(`${lines.join('\n')}\n`);
}

function row(area: string, all: string, equal: string, meant: string): string {
  return `${area.padEnd(16)} ${all.padStart(6)} ${equal.padStart(6)}   ${meant}`;
}

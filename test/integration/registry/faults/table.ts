import { afterAll, test } from 'vitest';

/** What a client made of a fault: it did what it was asked to all the same, or refused with an error that says why. */
export interface Outcome {
  readonly verdict: 'survived' | 'refused';
  /** What it did, in a few words. */
  readonly did: string;
}

export function survived(did: string): Outcome {
  return { verdict: 'survived', did };
}

export function refused(did: string): Outcome {
  return { verdict: 'refused', did };
}

/** `3 requests`, `1 request`. */
export function times(count: number, what = 'request'): string {
  return `${count} ${what}${count === 1 ? '' : 's'}`;
}

const rows: (readonly [fault: string, did: string, verdict: string])[] = [];

/** A test of one fault; its outcome is a line of the table. */
export function fault(name: string, work: () => Promise<Outcome>): void {
  test(name, async () => {
    try {
      const { verdict, did } = await work();
      rows.push([name, did, verdict]);
    } catch (error) {
      rows.push([
        name,
        String(error instanceof Error ? error.message : error)
          .split('\n', 1)[0]
          ?.slice(0, 60) ?? '',
        'FAILED',
      ]);
      throw error;
    }
  });
}

/** Prints the table when all faults of a file have been tried. */
export function printTable(): void {
  afterAll(() => {
    const table = [['FAULT', 'WHAT THE CLIENT DID', 'VERDICT'] as const, ...rows];
    const width = (column: 0 | 1): number => Math.max(...table.map((row) => row[column].length));
    const [first, second] = [width(0), width(1)];
    const lines = table.map(([name, did, verdict]) => `${name.padEnd(first)}   ${did.padEnd(second)}   ${verdict}`);
    process.stdout.write(`\n${lines.join('\n')}\n\n`);
  });
}

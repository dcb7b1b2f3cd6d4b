// What every runtime must be able to do with real hosts, and which test has seen it: the same rows for all three.

export const ROWS = [
  'init 1 master',
  'join 1 node',
  'join 2 masters',
  'delete a node',
  'delete a master',
  'upgrade',
  'reset',
  'resume after kill -9',
] as const;
export type Row = (typeof ROWS)[number];

/** kubeadm has no scenario of its own: these tests of its files see each row, the file without `.test.ts` and the test by its name. */
export const KUBEADM: Readonly<Record<Row, readonly [file: string, test: string]>> = {
  'init 1 master': ['operations.long', 'grows from one master and one worker to three and two'],
  'join 1 node': ['operations.long', 'grows from one master and one worker to three and two'],
  'join 2 masters': ['operations.long', 'grows from one master and one worker to three and two'],
  'delete a node': [
    'operations.long',
    'lets a live worker go: drained first, as far as disruption budgets allow, and clean',
  ],
  'delete a master': [
    'operations.long',
    'lets a live master go, and nothing of the cluster is left anywhere at its end',
  ],
  upgrade: ['upgrade.long', 'goes on when its upgrade is killed between the master and the worker'],
  reset: ['cluster.long', 'is taken away from the hosts that answer; the others are named, and done later'],
  'resume after kill -9': ['cluster.long', 'that is killed in the middle of kubeadm init goes on where it was'],
};

/** The rows of one runtime as they were seen in a run, and where kubeadm's are seen. */
export function scenarioTable(runtime: string, seen: ReadonlyMap<Row, string>): string {
  const cells = [
    ['', runtime, 'kubeadm: is seen by'],
    ...ROWS.map((row) => [row, seen.get(row) ?? 'not seen', `${KUBEADM[row][0]}.test.ts`]),
  ];
  const widths = [0, 1, 2].map((column) => Math.max(...cells.map((row) => row[column]?.length ?? 0)));
  return cells
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { mustSlipway, slipway, startSlipway } from '../../support/slipway.js';
import { tempDirectory } from '../../support/temp.js';
import { writeTree } from '../../support/write-tree.js';

const home = tempDirectory();
const root = join(home, 'store');

const FILES = Object.fromEntries(
  Array.from({ length: 300 }, (_, index) => [`tree/${index % 7}/${index}`, `content ${index}`.repeat(50)]),
);

it('builds at once of the same and of other Kubefiles, a prune among them, do not disturb each other', async () => {
  const kubefile = 'FROM scratch\nCOPY tree .\nRUN ls > list\nCOPY tree/3 three/\n';
  const same = writeTree(join(home, 'same'), { Kubefile: kubefile, ...FILES });
  const other = writeTree(join(home, 'other'), { Kubefile: `${kubefile}COPY tree/4 four/\n`, ...FILES });
  const env = { SOURCE_DATE_EPOCH: '1700000000' };
  const ended = await Promise.all([
    slipway(['build', '-q', '-t', 'same:v1', same], { root, env }),
    slipway(['build', '-q', '-t', 'same:v2', same], { root, env }),
    slipway(['build', '-q', '-t', 'other:v1', other], { root, env }),
    slipway(['build', '-q', '-t', 'same:v3', '--no-cache', same], { root, env }),
    slipway(['prune'], { root }),
  ]);
  expect(ended.slice(0, 4).map(({ code, stderr }) => (code === 0 ? 0 : stderr))).toEqual([0, 0, 0, 0]);
  const digests = ended.slice(0, 4).map(({ stdout }) => stdout.trim());
  expect(new Set(digests).size).toBe(2);
  expect(digests[1]).toBe(digests[0]);
  expect(digests[3]).toBe(digests[0]);
  expect(readdirSync(join(root, 'tmp'))).toEqual([]);
  for (const name of ['same:v1', 'same:v2', 'same:v3', 'other:v1'])
    await mustSlipway(['save', '-o', join(home, 'whole.tar'), name], { root });
});

it('a build that is killed leaves nothing that the next one minds', async () => {
  const dir = writeTree(join(home, 'killed'), {
    Kubefile: 'FROM scratch\nCOPY tree .\nRUN echo started; sleep 600\n',
    ...FILES,
  });
  const killed = startSlipway(['build', '-t', 'killed:v1', dir], { root });
  await expect.poll(() => killed.output(), { timeout: 60_000 }).toContain('] started');
  killed.kill('SIGKILL');
  await killed.ended;
  writeTree(dir, { Kubefile: 'FROM scratch\nCOPY tree .\nRUN ls > list\n' });
  const again = await slipway(['build', '-t', 'killed:v1', dir], { root });
  expect(again.stderr).toContain('[1/2] cached');
  expect(again.code).toBe(0);
  await mustSlipway(['prune'], { root });
  expect(readdirSync(join(root, 'tmp'))).toEqual([]);
});

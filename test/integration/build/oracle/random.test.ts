import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { tempDirectory } from '../../../support/temp.js';
import { type Builder, type Built, buildahBuilder, ourBuilder, prepareCase } from './builders.js';
import type { OracleCase } from './case.js';
import { randomBuild } from './random-builds.js';

/** More with SLIPWAY_ORACLE_RUNS; another sequence with SLIPWAY_ORACLE_SEED. */
const RUNS = Number(process.env.SLIPWAY_ORACLE_RUNS ?? 40);
const SEED = Number(process.env.SLIPWAY_ORACLE_SEED ?? 20_000_101);

const temp = tempDirectory();
let buildah: Builder;
let ours: Builder;

beforeAll(async () => {
  buildah = buildahBuilder(join(temp, 'buildah'));
  ours = await ourBuilder(join(temp, 'slipway'));
});
afterAll(async () => {
  await ours.close();
  await buildah.close();
});

it(`random contexts and lines make the same images (seed ${SEED}, ${RUNS} runs)`, async () => {
  let count = 0;
  const told = { equal: 0, refused: 0, meant: 0 };
  await fc.assert(
    fc.asyncProperty(randomBuild, async (test) => {
      const dir = join(temp, `run-${count++}`);
      mkdirSync(dir);
      try {
        prepareCase(dir, test);
        const [theirs, mine] = await Promise.all([buildah.build(dir, test), ours.build(dir, test)]);
        if (meant(test, theirs, mine)) told.meant++;
        else {
          expect(tree(mine), JSON.stringify({ theirs, mine })).toEqual(tree(theirs));
          if ('error' in mine) told.refused++;
          else told.equal++;
        }
      } finally {
        rmSync(dir, { recursive: true, force: true });
      }
    }),
    { numRuns: RUNS, seed: SEED },
  );
  process.stdout.write(
    `random builds: ${told.equal} equal, ${told.refused} refused by both, ${told.meant} meant to differ\n`,
  );
}, 3_600_000);

function tree(built: Built): unknown {
  return 'error' in built ? 'fails' : built.tree;
}

/** Differences that oracle.test.ts has a case and a reason for. */
function meant({ kubefile, context }: OracleCase, theirs: Built, mine: Built): boolean {
  // A file over a directory, or the other way round: buildah replaces it, Docker and we refuse.
  if ('error' in mine) return !('error' in theirs) && /cannot copy the .* over the /.test(mine.error);
  // A link to nothing that a wildcard matched: buildah fails.
  const links = Object.values(context).some((spec) => typeof spec === 'object' && spec.link !== undefined);
  // Lines with wildcards are those that are not in JSON form.
  const wildcards = kubefile.split('\n').some((line) => /^(?:COPY|ADD) /.test(line) && !line.includes('["'));
  return 'error' in theirs && links && wildcards && /no such file or directory|broken pipe/.test(theirs.error);
}

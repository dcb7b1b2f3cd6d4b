import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { tempDirectory } from '../../../support/temp.js';
import { type Builder, type Built, buildahBuilder, ourBuilder, prepareCase } from './builders.js';
import type { OracleCase } from './case.js';
import { ADD_CASES } from './cases/add.js';
import { CONFIG_CASES } from './cases/config.js';
import { COPY_CASES } from './cases/copy.js';
import { IGNORE_CASES } from './cases/ignore.js';
import { STAGE_CASES } from './cases/stages.js';
import { printTable } from './table.js';

const CASES: readonly OracleCase[] = [...COPY_CASES, ...IGNORE_CASES, ...ADD_CASES, ...STAGE_CASES, ...CONFIG_CASES];

const temp = tempDirectory();
const held = new Set<OracleCase>();
let buildah: Builder;
let ours: Builder;

beforeAll(async () => {
  buildah = buildahBuilder(join(temp, 'buildah'));
  ours = await ourBuilder(join(temp, 'slipway'));
});
afterAll(async () => {
  await ours.close();
  await buildah.close();
  printTable(CASES, held);
});

/** The same Kubefile over the same context, for buildah and for us with `# dialect=docker`: the images must be the same. */
describe.each([...new Set(CASES.map((test) => test.area))])('%s', (area) => {
  it.each(CASES.filter((test) => test.area === area))('$name', async (test) => {
    const dir = join(temp, `case-${CASES.indexOf(test)}`);
    mkdirSync(dir);
    prepareCase(dir, test);
    const [theirs, mine] = await Promise.all([buildah.build(dir, test), ours.build(dir, test)]);
    if (test.differs === undefined) {
      expect(shown(mine), 'error' in theirs ? `buildah: ${theirs.error}` : '').toEqual(shown(theirs));
      expect('error' in mine, JSON.stringify(mine)).toBe(test.fails === true);
      held.add(test);
      return;
    }
    expect(shown(mine), 'these are no longer different').not.toEqual(shown(theirs));
    const { tree, error, config } = test.ours ?? {};
    if (error !== undefined) expect(mine).toEqual({ error: expect.stringMatching(error) });
    else expect(mine).not.toHaveProperty('error');
    if (tree !== undefined) expect(mine).toMatchObject({ tree });
    if (config !== undefined) expect(mine).toMatchObject({ config });
    held.add(test);
  });
});

/** That a build fails is compared, its message is not. */
function shown(built: Built): unknown {
  return 'error' in built ? 'fails' : built;
}

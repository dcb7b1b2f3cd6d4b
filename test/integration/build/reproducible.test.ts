import { utimesSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { ImageDescription } from '../../../src/store/describe.js';
import { LAUNCHER, mustSlipway } from '../../support/slipway.js';
import { tempDirectory } from '../../support/temp.js';
import { writeTree } from '../../support/write-tree.js';
import { must } from '../registry/support/programs.js';

const home = tempDirectory();
let count = 0;

function context(kubefile: string, files: Readonly<Record<string, string>> = {}): string {
  return writeTree(join(home, 'contexts', String(count++)), { Kubefile: kubefile, ...files });
}

describe('the same build twice', () => {
  const kubefile =
    'FROM scratch AS made\nRUN mkdir -p out/deep && echo made > out/deep/file && ln -s file out/deep/link\nFROM scratch\nCOPY rootfs/* .\nCOPY --from=made out out/\nRUN echo more >> etc/config && chmod 600 etc/config\nCMD kubectl get nodes\n';

  async function build(
    store: string,
    name: string,
    time: number,
    env: NodeJS.ProcessEnv = {},
  ): Promise<ImageDescription> {
    const dir = context(kubefile, { 'rootfs/etc/config': 'key=value\n', 'rootfs/scripts/init.sh': '#!/bin/bash\n' });
    for (const path of ['rootfs/etc/config', 'rootfs/scripts/init.sh', 'rootfs/etc', 'rootfs/scripts', 'rootfs'])
      utimesSync(join(dir, path), time, time);
    const own = join(home, store);
    await must(
      'sh',
      [
        '-c',
        `umask ${time % 2 === 0 ? '077' : '000'}; exec "$0" "$@"`,
        process.execPath,
        LAUNCHER,
        'build',
        '-q',
        '-t',
        name,
        dir,
      ],
      {
        env: { ...process.env, ...env, SLIPWAY_ROOT: own },
      },
    );
    return JSON.parse(await mustSlipway(['inspect', name, '--json'], { root: own })) as ImageDescription;
  }

  it('gives the same layers, whatever the times of the files, the umask and the day', async () => {
    const one = await build('store-1', 'x:v1', 1_600_000_000);
    const two = await build('store-2', 'x:v1', 1_700_000_001);
    expect(one.layers.map(({ diffID }) => diffID)).toEqual(two.layers.map(({ diffID }) => diffID));
    expect(one.layers.length).toBeGreaterThan(1);
  });

  it('gives the same digest with SOURCE_DATE_EPOCH', async () => {
    const env = { SOURCE_DATE_EPOCH: '1650000000' };
    const one = await build('store-3', 'x:v1', 1_600_000_000, env);
    const two = await build('store-4', 'x:v1', 1_700_000_001, env);
    expect(one.digest).toBe(two.digest);
  });
});

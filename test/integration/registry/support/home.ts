import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { testDir } from './server.js';

/** An environment in which nothing of the person who runs the tests is found: a home of its own, with this as docker's config file. */
export async function writeHome(
  config?: unknown,
): Promise<{ readonly HOME: string; readonly PATH: string | undefined }> {
  const home = await testDir();
  if (config !== undefined) {
    await mkdir(join(home, '.docker'));
    await writeFile(join(home, '.docker', 'config.json'), JSON.stringify(config));
  }
  return { HOME: home, PATH: process.env.PATH };
}

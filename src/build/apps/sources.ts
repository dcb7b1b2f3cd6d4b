import { realpath } from 'node:fs/promises';
import { SlipwayError } from '../../base/errors.js';
import { DirectorySource } from '../copy/directory-source.js';
import type { NamedSource } from '../copy/pick.js';
import { stageSource } from '../copy/stage-source.js';
import type { BuildJob } from '../job.js';
import { stageTree } from '../stage.js';
import { helmChart } from './helm-chart.js';
import { ociFiles } from './oci-files.js';
import type { AppSource } from './source.js';

/** Sources that COPY's engine can take, and what identifies them apart from their content. */
export interface NamedSources {
  readonly sources: readonly NamedSource[];
  readonly facts: readonly unknown[];
}

/**
 * Finds the files of a source; what is elsewhere is fetched.
 * @param dir a directory of our own for what is fetched; not made yet.
 */
export async function namedSources(job: BuildJob, source: AppSource, dir: string): Promise<NamedSources> {
  switch (source.kind) {
    case 'local':
      return { sources: [{ tree: job.context, name: source.path }], facts: ['local', source.path] };
    case 'helm':
      return {
        sources: [await fetched(await helmChart(job, source, dir), `the chart ${source.chart}`)],
        facts: ['helm', source.chart],
      };
    case 'oci': {
      const found = await ociFiles(job, source.name, dir);
      if (found.kind === 'image') {
        const { image } = found;
        const tree = stageSource(await stageTree(job.store, image), image.layers, `the image ${source.name}`);
        return { sources: [{ tree, name: '/', literal: true }], facts: ['oci', source.name] };
      }
      const what = `the artifact ${source.name}`;
      return {
        sources: await Promise.all(found.dirs.map((one) => fetched(one, what))),
        facts: ['oci', source.name],
      };
    }
    case 'http':
      throw new SlipwayError('E_UNSUPPORTED', `${source.url}: a URL is not supported by this version`);
  }
}

/** All that is in a directory of our own. Modes are what they would be in a build context. */
async function fetched(dir: string, what: string): Promise<NamedSource> {
  const tree = new DirectorySource(await realpath(dir), what, ({ mode }) => mode & 0o755);
  return { tree, name: '', literal: true };
}

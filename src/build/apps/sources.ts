import { realpath } from 'node:fs/promises';
import { SlipwayError } from '../../base/errors.js';
import { urlRemote } from '../add/url-remote.js';
import { parseUrlSource } from '../add/url-source.js';
import { DirectorySource } from '../copy/directory-source.js';
import type { NamedSource } from '../copy/pick.js';
import { singleSource } from '../copy/single-source.js';
import { stageSource } from '../copy/stage-source.js';
import type { BuildJob } from '../job.js';
import { stageTree } from '../stages/stage.js';
import { helmChart } from './helm-chart.js';
import { ociFiles } from './oci-files.js';
import type { AppSource } from './source.js';

/** Sources that COPY's engine can take, and what identifies them apart from their content. */
export interface NamedSources {
  readonly sources: readonly NamedSource[];
  readonly facts: readonly unknown[];
  /** Removes what is not in the directory that was given. */
  readonly dispose?: () => Promise<void>;
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
      return urlFile(job, source.url);
  }
}

/** A file of a web server, under the name that its URL has; readable for all, as it would be in a build context. */
async function urlFile(job: BuildJob, text: string): Promise<NamedSources> {
  const url = parseUrlSource(text);
  if (url?.name === undefined)
    throw new SlipwayError('E_USAGE', `${url?.shown ?? text} has no file name`, {
      hint: 'an application needs the URL of one file: https://HOST/PATH/FILE',
    });
  const remote = urlRemote(job, url, undefined);
  const dispose = (): Promise<void> => remote.dispose();
  try {
    const { tree } = (await remote.fetch()).source;
    const entry = tree.find(url.name);
    if (entry === undefined) throw new SlipwayError('E_INTERNAL', `${url.shown} was downloaded and is not there`);
    const source = { tree: singleSource(tree.what, { ...entry, mode: 0o644 }), name: url.name, literal: true };
    return { sources: [source], facts: ['http', url.name], dispose };
  } catch (error) {
    await dispose();
    throw error;
  }
}

/** All that is in a directory of our own. Modes are what they would be in a build context. */
async function fetched(dir: string, what: string): Promise<NamedSource> {
  const tree = new DirectorySource(await realpath(dir), what, ({ mode }) => mode & 0o755);
  return { tree, name: '', literal: true };
}

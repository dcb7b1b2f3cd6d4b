import { readPlugin } from '../clusterfile/read-plugin.js';
import { mistakesError, readYamlDocuments } from '../clusterfile/yaml-document.js';
import { type ImageRootfs, readRootfsFile } from '../files/rootfs.js';
import type { PluginSpec } from '../spec/plugin-spec.js';

/** Plugins that an image brings, and what is said of those that it cannot have. */
export interface ImagePlugins {
  readonly plugins: readonly PluginSpec[];
  readonly warnings: readonly string[];
}

const PLUGIN_FILE = /^plugins\/[^/]+\.ya?ml$/i;
/** Whoever launches an image may have no Clusterfile. */
const HINT = 'docs/hooks.md has every field of a plugin; mend the file where the image is built, and build it again';
const GO_PLUGIN = /^plugins\/[^/]+\.so$/;

/**
 * Reads the plugins in `plugins/` of a rootfs, file by file, in the order of their names.
 * @throws SlipwayError E_CLUSTERFILE that lists every mistake with file, line and column.
 */
export async function readImagePlugins({ entries }: Pick<ImageRootfs, 'entries'>): Promise<ImagePlugins> {
  const files = entries.filter(({ type, path }) => type === 'file' && PLUGIN_FILE.test(path));
  const plugins: PluginSpec[] = [];
  const mistakes: string[] = [];
  for (const { path } of files) {
    const text = (await readRootfsFile(entries, path))?.toString('utf8') ?? '';
    const name = `${path} of the image`;
    for (const document of readYamlDocuments(text, name, HINT)) {
      if (document.value?.kind !== 'Plugin')
        mistakes.push(`${document.place([], 'kind')}: not a document of the kind Plugin`);
      else {
        const plugin = readPlugin(document, name, mistakes);
        if (plugin !== undefined) plugins.push(plugin);
      }
    }
  }
  if (mistakes.length > 0) throw mistakesError(mistakes, HINT);
  return {
    plugins,
    warnings: entries
      .filter(({ path }) => GO_PLUGIN.test(path))
      .map(({ path }) => `${path} of the image: plugins written in Go are not run`),
  };
}

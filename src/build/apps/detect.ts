import { type ApplicationType, KUSTOMIZE_COMMAND } from '../../image/applications.js';

/** What the files of an application say about how it is started. */
export interface DetectedApplication {
  /** Undefined when they do not say it. */
  readonly type: ApplicationType | undefined;
  /** What the type starts, relative to the directory of the application, in order. */
  readonly files: readonly string[];
  /** When the type's own commands would not do. */
  readonly cmds?: readonly string[];
}

/** Files that people read: they do not make an application something else. sealer asks for APPCMDS as soon as there is one. */
const FOR_PEOPLE = /^(?:.*\.(?:md|txt)|(?:readme|licen[cs]e|copying|notice|authors|changelog|owners)(?:[.-].*)?)$/i;

/**
 * Finds out what an application is from its files alone, as sealer does (build/kubefile/parser, getApplicationType): a chart, all YAML, or
 * all shell scripts. Beyond sealer: a chart may lack values.yaml and templates/; a `kustomization.yaml` is applied as one; templates
 * (`x.yaml.tmpl`) count as what they become; hidden files and files for people do not count.
 * @param sources the files that each source brought, in the order of the sources; a script is started only from the first.
 */
export function detectApplication(name: string, sources: readonly (readonly string[])[]): DetectedApplication {
  const all = sources.flat();
  if (all.includes('Chart.yaml')) return { type: 'helm', files: [name] };
  const started = startedFiles(all);
  const extensions = new Set(started.map(extensionOf));
  const only = extensions.size === 1 ? [...extensions][0] : undefined;
  if (only === 'yaml') {
    const kustomized = all.some((file) => /^(?:kustomization\.ya?ml|Kustomization)$/.test(file));
    return { type: 'kube', files: started, ...(kustomized ? { cmds: [KUSTOMIZE_COMMAND] } : {}) };
  }
  // Scripts of further sources are there for those of the first to call.
  if (only === 'sh') return { type: 'shell', files: sources.map(startedFiles).find((own) => own.length > 0) ?? [] };
  return { type: undefined, files: [] };
}

/** Without files that mean nothing here, each once, templates by the name they get. */
function startedFiles(files: readonly string[]): string[] {
  const counting = files.filter((file) => {
    const parts = file.split('/');
    return !parts.some((part) => part.startsWith('.')) && !FOR_PEOPLE.test(parts.at(-1) ?? '');
  });
  return [...new Set(counting.map((file) => file.replace(/(?<=.)\.tmpl$/, '')))];
}

function extensionOf(file: string): string {
  const base = file.slice(file.lastIndexOf('/') + 1);
  if (base === 'Kustomization') return 'yaml';
  const extension = /\.([^.]+)$/.exec(base)?.[1]?.toLowerCase() ?? '';
  return extension === 'yml' ? 'yaml' : extension;
}

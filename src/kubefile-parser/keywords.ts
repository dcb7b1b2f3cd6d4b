import { suggest } from '../base/suggest.js';

/** Docker instructions that mean nothing in a ClusterImage. */
export const IGNORED_KEYWORDS = ['EXPOSE', 'VOLUME', 'HEALTHCHECK', 'ONBUILD', 'STOPSIGNAL'] as const;

/** Every instruction, in the order of the documentation. */
export const KEYWORDS = [
  'FROM',
  'COPY',
  'ADD',
  'RUN',
  'BASE',
  'CMD',
  'CMDS',
  'LAUNCH',
  'ARG',
  'ENV',
  'LABEL',
  'MAINTAINER',
  'WORKDIR',
  'USER',
  'SHELL',
  'ENTRYPOINT',
  'APP',
  'CNI',
  'CSI',
  'APPCMDS',
  'APPENV',
  'KUBEVERSION',
  ...IGNORED_KEYWORDS,
] as const;

/** Instructions of a Kubefile that a Dockerfile cannot have. */
const CLUSTER_KEYWORDS: readonly string[] = [
  'BASE',
  'CMDS',
  'LAUNCH',
  'APP',
  'CNI',
  'CSI',
  'APPCMDS',
  'APPENV',
  'KUBEVERSION',
];

export type Keyword = (typeof KEYWORDS)[number];
export type IgnoredKeyword = (typeof IGNORED_KEYWORDS)[number];

export function isKeyword(word: string): word is Keyword {
  return KEYWORDS.some((keyword) => keyword === word);
}

export function isIgnored(word: string): word is IgnoredKeyword {
  return IGNORED_KEYWORDS.some((keyword) => keyword === word);
}

/** True for what `# dialect=docker` does not have. */
export function isClusterOnly(word: Keyword): boolean {
  return CLUSTER_KEYWORDS.includes(word);
}

/** The instruction that was probably meant. */
export function nearestKeyword(word: string): string | undefined {
  return word.length > 20 ? undefined : suggest(word, KEYWORDS);
}

/** True for the instructions that may hold heredocs. One that is misspelt may as well: its content must not be read as instructions. */
export function takesHeredocs(word: string): boolean {
  const meant = isKeyword(word) ? word : nearestKeyword(word);
  return meant === 'RUN' || meant === 'COPY' || meant === 'ADD';
}

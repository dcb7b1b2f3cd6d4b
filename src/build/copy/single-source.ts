import type { SourceEntry, SourceTree } from './source-tree.js';

/** A source that is one file, such as a heredoc or a download. @param what for messages. */
export function singleSource(what: string, file: Omit<SourceEntry, 'type' | 'uid' | 'gid'>): SourceTree {
  const entry: SourceEntry = { ...file, type: 'file', uid: 0, gid: 0 };
  const find = (path: string): SourceEntry | undefined => (path === entry.path ? entry : undefined);
  return { what, find, findMatch: find, isLink: () => false, names: () => [entry.path], walk: () => [] };
}

import { rm } from 'node:fs/promises';
import { SlipwayError } from '../../base/errors.js';
import type { BuildJob } from '../job.js';
import { checkoutGit, type ResolvedRef, resolveGit } from './git-checkout.js';
import type { GitSource } from './git-source.js';
import type { RemoteSource } from './remote-source.js';

/**
 * A git repository, or a directory of it, at one commit. Its identity is the commit; one that is named in full needs no network when the layer
 * is known.
 * @param checksum the commit, or at least 7 of its first digits.
 * @throws SlipwayError E_COPY for a checksum that is none; later E_DIGEST_MISMATCH, and what fetching throws.
 */
export function gitRemote(
  job: BuildJob,
  source: GitSource,
  { checksum, keepGitDir }: { readonly checksum: string | undefined; readonly keepGitDir: boolean },
): RemoteSource {
  const { store, reporter, signal } = job;
  const { url, ref, subdirectory } = source;
  if (checksum !== undefined && !/^[0-9a-f]{7,64}$/.test(checksum)) {
    throw new SlipwayError(
      'E_COPY',
      `--checksum=${checksum}: for a git repository it is the commit, in hexadecimal digits`,
    );
  }
  const dirs: string[] = [];
  let resolved: Promise<ResolvedRef> | undefined;
  const identify = (commit: string): readonly unknown[] => {
    if (checksum !== undefined && !commit.startsWith(checksum)) {
      throw new SlipwayError(
        'E_DIGEST_MISMATCH',
        `${ref ?? 'HEAD'} of ${url} is the commit ${commit}, not ${checksum}`,
      );
    }
    return ['git', commit, subdirectory, keepGitDir ? url : ''];
  };
  const resolve = (): Promise<ResolvedRef> => {
    resolved ??= resolveGit(source, signal);
    return resolved;
  };
  return {
    shown: `${url}#${ref ?? ''}:${subdirectory}`,
    identity: async () => identify((await resolve()).commit),
    async fetch() {
      const wanted = await resolve();
      identify(wanted.commit);
      const dir = await store.temp.path('git');
      dirs.push(dir);
      const { commit, tree } = await checkoutGit(source, wanted, { dir, keepGitDir, reporter, signal });
      const identity = identify(commit);
      if (tree.find(subdirectory)?.type !== 'dir')
        throw new SlipwayError('E_COPY', `${url} has no directory ${subdirectory} at ${ref ?? commit}`);
      return { source: { tree, name: subdirectory, literal: true }, identity };
    },
    async dispose() {
      for (const dir of dirs) await rm(dir, { recursive: true, force: true });
    },
  };
}

import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { isSlipwayError, SlipwayError } from '../../base/errors.js';
import type { Reporter } from '../../base/reporter.js';
import { checkLimit, DEFAULT_LIMITS } from '../../layers/tar-limits.js';
import { DirectorySource } from '../copy/directory-source.js';
import type { GitSource } from './git-source.js';
import { runGit } from './run-git.js';

/** The name that what was fetched has for a moment. */
const LOCAL = 'refs/slipway/add';
const COMMIT = /^[0-9a-f]{40}(?:[0-9a-f]{24})?$/;

/** What a ref of a repository is at this moment. */
export interface ResolvedRef {
  readonly commit: string;
  /** The full name of the ref; undefined for a commit that was named itself. */
  readonly ref: string | undefined;
}

/**
 * Asks a repository which commit a source means. A commit in full is not asked for.
 * @throws SlipwayError E_COPY when the repository cannot be reached or has no such ref.
 */
export async function resolveGit(source: GitSource, signal: AbortSignal): Promise<ResolvedRef> {
  const { url, ref } = source;
  if (ref !== undefined && COMMIT.test(ref)) return { commit: ref, ref: undefined };
  const wanted = ref ?? 'HEAD';
  const doing = `asking ${url} for ${wanted}`;
  const listed = await git(source, ['ls-remote', '--quiet', '--', url, wanted, `${wanted}^{}`], doing, signal);
  const refs = new Map(
    listed.split('\n').flatMap((line) => {
      const [commit, name] = line.split('\t');
      return commit !== undefined && name !== undefined && COMMIT.test(commit) ? [[name, commit] as const] : [];
    }),
  );
  // The order in which git itself looks a short name up (gitrevisions(7)).
  for (const name of [wanted, `refs/${wanted}`, `refs/tags/${wanted}`, `refs/heads/${wanted}`]) {
    const commit = refs.get(`${name}^{}`) ?? refs.get(name);
    if (commit !== undefined) return { commit, ref: name };
  }
  throw new SlipwayError('E_COPY', `${url} has no branch, tag or ref called ${wanted}`, {
    hint: 'a commit is named by all of its 40 digits',
  });
}

export interface CheckoutOptions {
  /** A directory to be made, for the caller to remove. */
  readonly dir: string;
  /** Keep `.git`. */
  readonly keepGitDir: boolean;
  readonly reporter: Reporter;
  readonly signal: AbortSignal;
}

/**
 * Fetches one commit of a repository and checks it out. Submodules are not fetched, which is warned about.
 * @returns the commit that was fetched (a branch may have moved), and its files: mode 0755 for what can be executed, else 0644.
 * @throws SlipwayError E_COPY when it cannot be fetched, E_UNSAFE_ARCHIVE when it is out of all proportion.
 */
export async function checkoutGit(
  source: GitSource,
  resolved: ResolvedRef,
  { dir, keepGitDir, reporter, signal }: CheckoutOptions,
): Promise<{ readonly commit: string; readonly tree: DirectorySource }> {
  const { url } = source;
  const doing = `fetching ${source.ref ?? 'HEAD'} of ${url}`;
  const here = (...args: string[]): Promise<string> => git(source, ['-C', dir, ...args], doing, signal);
  await git(source, ['init', '--quiet', '--', dir], doing, signal);
  await here('config', 'remote.origin.url', url);
  const commit = await fetchCommit(resolved, here);
  await checkTree(dir, commit, { url, reporter, signal });
  await here('checkout', '--quiet', '--force', '--detach', '--no-recurse-submodules', commit);
  await here('update-ref', '-d', LOCAL);
  if (!keepGitDir) await rm(join(dir, '.git'), { recursive: true, force: true });
  const modeOf = (stats: { readonly mode: number; isDirectory(): boolean }): number =>
    stats.isDirectory() || (stats.mode & 0o100) !== 0 ? 0o755 : 0o644;
  return { commit, tree: new DirectorySource(dir, url, modeOf) };
}

/** Fetches as little as the server lets us have. */
async function fetchCommit(
  { commit, ref }: ResolvedRef,
  here: (...args: string[]) => Promise<string>,
): Promise<string> {
  const fetch = ['fetch', '--quiet', '--no-tags', '--no-write-fetch-head', '--no-recurse-submodules', '--force'];
  const attempts: string[][] = [
    [...fetch, '--depth=1', '--', 'origin', `${ref ?? commit}:${LOCAL}`],
    // Not every server knows shallow fetches, or gives commits that no ref names.
    ref === undefined
      ? [...fetch, '--', 'origin', '+refs/*:refs/slipway/*']
      : [...fetch, '--', 'origin', `${ref}:${LOCAL}`],
  ];
  let failure: unknown;
  for (const args of attempts) {
    try {
      await here(...args);
      const name = ref === undefined ? commit : LOCAL;
      return (await here('rev-parse', '--quiet', '--verify', '--end-of-options', `${name}^{commit}`)).trim();
    } catch (error) {
      if (!isSlipwayError(error, 'E_COPY')) throw error;
      failure ??= error;
    }
  }
  throw failure;
}

/** Looks at the tree of a commit before anything of it is written: a few kilobytes can describe a tree of billions of files. */
async function checkTree(
  dir: string,
  commit: string,
  { url, reporter, signal }: { readonly url: string; readonly reporter: Reporter; readonly signal: AbortSignal },
): Promise<void> {
  let entries = 0;
  let bytes = 0;
  let submodules = 0;
  let rest = '';
  await runGit({
    args: ['-C', dir, 'ls-tree', '-r', '-l', '-z', '--end-of-options', commit],
    doing: `looking at ${commit} of ${url}`,
    signal,
    onOutput(piece) {
      const rows = (rest + piece.toString('latin1')).split('\0');
      rest = rows.pop() ?? '';
      for (const row of rows) {
        const [mode, , , size] = row.split('\t', 1)[0]?.split(/ +/) ?? [];
        entries++;
        bytes += Number(size) || 0;
        if (mode === '160000') submodules++;
      }
      checkLimit(entries, DEFAULT_LIMITS.entries, `${url} has too many files`, String(DEFAULT_LIMITS.entries));
      checkLimit(bytes, DEFAULT_LIMITS.totalBytes, `${url} is too big`);
    },
  });
  if (submodules > 0) reporter.warn(`${url} has ${submodules} submodules, which are not fetched: ADD them one by one`);
}

function git(source: GitSource, args: readonly string[], doing: string, signal: AbortSignal): Promise<string> {
  const { url, credentials: userinfo } = source;
  return runGit({ args, doing, signal, credentials: userinfo === undefined ? undefined : { url, userinfo } });
}

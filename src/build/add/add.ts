import { SlipwayError } from '../../base/errors.js';
import { redact } from '../../base/redact.js';
import type { AddInstruction } from '../../kubefile-parser/ast.js';
import type { MergedTree } from '../../layers/merge.js';
import { readChanges } from '../copy/changes.js';
import { planCopy } from '../copy/copy-plan.js';
import { heredocSource } from '../copy/heredoc-source.js';
import { type NamedSource, type Pick, pickSources } from '../copy/pick.js';
import { runTransfer } from '../copy/transfer.js';
import type { BuildJob } from '../job.js';
import type { Outcome } from '../outcome.js';
import { at } from '../place.js';
import { type StageState, stageTree } from '../stages/stage.js';
import type { ExpandWord } from '../variables/expand.js';
import { findArchives, withArchives } from './archives.js';
import { gitRemote } from './git-remote.js';
import { parseGitSource } from './git-source.js';
import type { ArchivePick } from './place-archive.js';
import type { RemoteSource } from './remote-source.js';
import { urlRemote } from './url-remote.js';
import { parseUrlSource } from './url-source.js';

/** A source as it was read from the instruction. */
type AddSource = { readonly local: NamedSource } | { readonly remote: RemoteSource };

/** ADD: as COPY, and files of web servers, git repositories, and archives of the context, which are unpacked. */
export async function runAdd(
  job: BuildJob,
  state: StageState,
  written: AddInstruction,
  expand: ExpandWord,
  step: string,
): Promise<Outcome> {
  // Credentials of a URL must not get into the image's history.
  const instruction = { ...written, source: redact(written.source) };
  return at(job, instruction.sources[0]?.position ?? instruction.position, async () => {
    const base = await stageTree(job.store, state);
    const destination = expand(instruction.destination);
    const sources = readSources(job, state, instruction, expand, isDirectory(base, state.workdir, destination));
    const remotes = sources.flatMap((source) => ('remote' in source ? [source.remote] : []));
    try {
      const { changes, facts: flags } = await readChanges(job, state, base, instruction, expand);
      const { link } = instruction;
      const { dialect } = job.kubefile.directives;
      const plan = (picks: readonly (Pick | ArchivePick)[]) =>
        planCopy({ picks, destination, workdir: state.workdir, base, link, parents: false, changes });
      const pick = (named: readonly NamedSource[]) =>
        pickSources(named, { dialect, parents: false, others: remotes.length > 0 });

      const local = pick(sources.flatMap((source) => ('local' in source ? [source.local] : [])));
      for (const warning of local.warnings) job.reporter.warn(`${instruction.source}: ${warning}`);
      const archives = await findArchives(job, local.picks);
      const planned = plan(local.picks.filter(({ entry }) => !archives.has(entry.path)));
      const names = sources.map((source) => ('local' in source ? source.local.name : source.remote.shown));
      const facts = [dialect, state.workdir, names, destination, link, instruction.keepGitDir, flags];

      return await runTransfer(
        job,
        state,
        {
          instruction,
          facts,
          link,
          planned,
          rest: async () => {
            const identities: unknown[] = [];
            for (const { file, stats } of archives.values()) identities.push(await job.digests.digest(file, stats));
            for (const remote of remotes) identities.push(await remote.identity());
            return identities;
          },
          complete: (work) =>
            withArchives(job, archives, async (unpacked) => {
              const named: NamedSource[] = [];
              const identities: unknown[] = [...unpacked.digests];
              for (const source of sources) {
                if ('local' in source) named.push(source.local);
                else {
                  const fetched = await source.remote.fetch();
                  named.push(fetched.source);
                  identities.push(fetched.identity);
                }
              }
              const picks = pick(named).picks.map((picked) =>
                picked.tree === job.context ? (unpacked.picks.get(picked.entry.path) ?? picked) : picked,
              );
              return work(archives.size + remotes.length === 0 ? planned : plan(picks), identities);
            }),
        },
        step,
      );
    } finally {
      for (const remote of remotes) await remote.dispose();
    }
  });
}

function isDirectory(base: MergedTree, workdir: string, destination: string): boolean {
  if (destination === '.' || /(?:^|\/)$/.test(destination)) return true;
  const { path, found } = base.resolve(destination.startsWith('/') ? destination : `${workdir}/${destination}`);
  return path === '' || found?.entry.type === 'dir';
}

/** @throws SlipwayError E_COPY: a URL without a name for a directory, `--checksum` for anything but one remote source. */
function readSources(
  job: BuildJob,
  state: StageState,
  instruction: AddInstruction,
  expand: ExpandWord,
  intoDirectory: boolean,
): AddSource[] {
  const { keepGitDir } = instruction;
  const checksum = (instruction.checksum && expand(instruction.checksum)) || undefined;
  const sources = instruction.sources.map((word): AddSource => {
    const text = expand(word);
    const git = parseGitSource(text);
    if (git !== undefined) return { remote: gitRemote(job, git, { checksum, keepGitDir }) };
    const url = parseUrlSource(text);
    if (url === undefined) return { local: { tree: job.context, name: text } };
    if (url.name === undefined && intoDirectory)
      throw new SlipwayError('E_COPY', `${url.shown} has no file name, and the destination is a directory`, {
        hint: 'name the file in the destination',
      });
    return { remote: urlRemote(job, url, checksum) };
  });
  const heredocs = instruction.heredocs.map((heredoc): AddSource => ({ local: heredocSource(job, state, heredoc) }));
  const all = [...sources, ...heredocs];
  const [first] = all;
  if (checksum !== undefined && (all.length !== 1 || first === undefined || 'local' in first))
    throw new SlipwayError('E_COPY', '--checksum is for one URL or git repository', {
      hint: 'write an ADD of its own for each',
    });
  return all;
}

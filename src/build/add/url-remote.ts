import { rm } from 'node:fs/promises';
import { SlipwayError } from '../../base/errors.js';
import { type Digest, isDigest } from '../../image/digest.js';
import { singleSource } from '../copy/single-source.js';
import type { BuildJob } from '../job.js';
import type { Downloaded, Validators } from './download.js';
import { readDownloadNote, writeDownloadNote } from './download-notes.js';
import type { RemoteSource } from './remote-source.js';
import type { UrlSource } from './url-source.js';

/**
 * A file of a web server, with mode 0600 as in Docker. With a checksum the network is asked only when the layer has still to be made; without
 * one the server is asked whether the file has changed. With Docker's rules the file gets the time of Last-Modified; in a Kubefile it does not:
 * equal content makes equal layers.
 * @throws SlipwayError E_INVALID_DIGEST for a checksum that is none; later E_DIGEST_MISMATCH, and what `download` throws.
 */
export function urlRemote(job: BuildJob, source: UrlSource, checksum: string | undefined): RemoteSource {
  const { store, reporter, registry, signal } = job;
  const expected = checksum === undefined ? undefined : expectedDigest(checksum);
  const keepsTime = job.kubefile.directives.dialect === 'docker';
  const files: string[] = [];
  let got: { readonly file: string; readonly result: Downloaded } | undefined;

  const get = async (unless?: Validators) => {
    const { download } = await import('./download.js'); // most builds download nothing
    const file = await store.temp.path('download');
    files.push(file);
    const result = await download(source, {
      file,
      ...(unless === undefined ? {} : { unless }),
      registry,
      reporter,
      signal,
    });
    if (result === undefined) return undefined;
    if (expected !== undefined && result.digest !== expected) {
      throw new SlipwayError('E_DIGEST_MISMATCH', `${source.shown} has the digest ${result.digest}, not ${expected}`, {
        hint: 'the file is another one than it was, or --checksum is wrong; nothing of it is used',
      });
    }
    got = { file, result };
    const { digest, modified, validators } = result;
    await writeDownloadNote(store, source.url, { digest, validators, ...(modified === undefined ? {} : { modified }) });
    return got;
  };
  const identify = (digest: Digest, modified: number | undefined): readonly unknown[] =>
    expected === undefined && keepsTime ? ['url', digest, modified ?? null] : ['url', digest];

  return {
    shown: source.url.href,
    async identity() {
      if (expected !== undefined) return identify(expected, undefined);
      const note = await readDownloadNote(store, source.url);
      const came = await get(isEmpty(note?.validators) ? undefined : note?.validators);
      if (came !== undefined) return identify(came.result.digest, came.result.modified);
      if (note === undefined) throw new SlipwayError('E_INTERNAL', `${source.shown}: nothing to compare with`);
      return identify(note.digest, note.modified);
    },
    async fetch() {
      const came = got ?? (await get());
      if (came === undefined) throw new SlipwayError('E_INTERNAL', `${source.shown} was not sent`);
      const { digest, size, modified } = came.result;
      const name = source.name ?? 'download';
      const tree = singleSource(source.shown, {
        path: name,
        mode: 0o600,
        size,
        digest,
        content: { in: 'file', file: came.file, start: 0 },
        ...(keepsTime && modified !== undefined ? { mtime: modified } : {}),
      });
      return { source: { tree, name, literal: true }, identity: identify(digest, modified) };
    },
    async dispose() {
      for (const file of files) await rm(file, { force: true });
    },
  };
}

function isEmpty({ etag, lastModified }: Validators = {}): boolean {
  return etag === undefined && lastModified === undefined;
}

function expectedDigest(checksum: string): Digest {
  if (isDigest(checksum) && checksum.startsWith('sha256:')) return checksum;
  throw new SlipwayError('E_INVALID_DIGEST', `--checksum=${checksum} is not a sha256 digest`, {
    hint: 'write --checksum=sha256: and 64 lower-case hexadecimal digits, as sha256sum prints them',
  });
}

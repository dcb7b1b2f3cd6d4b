import { mapLimit } from '../base/concurrency.js';
import { SlipwayError } from '../base/errors.js';
import { formatBytes } from '../base/format.js';
import { type Reporter, silentReporter } from '../base/reporter.js';
import { shortDigest } from '../image/digest.js';
import { successors, visited } from '../image/graph.js';
import { isDocumentType, isNondistributable } from '../image/media-types.js';
import type { Descriptor } from '../image/oci.js';
import type { ContentDocument, ContentSource, ContentTarget, Placement } from './content.js';
import { PassingBlob } from './passing-blob.js';

/** Blobs on their way at the same time. */
const PARALLEL = 6;
/** Documents of one image that are held in memory while its blobs travel. */
const DOCUMENTS_LIMIT = 64 * 1024 * 1024;

export interface CopyOptions {
  readonly reporter?: Reporter | undefined;
  /** Ends the copying; its reason is thrown. */
  readonly signal?: AbortSignal | undefined;
  /** Told of each blob that is at the target now. */
  readonly onBlob?: (descriptor: Descriptor, placement: Placement) => Promise<void>;
}

/** What a copy did, in bytes of blobs. */
export interface CopyResult {
  readonly copied: number;
  /** Of blobs that were copied: what an earlier try had brought already. */
  readonly resumed: number;
  /** Not sent because it was there, or the registry had it in another repository. */
  readonly reused: number;
}

/**
 * Copies everything that `root` reaches from one place to another, children first: blobs six at a time, then manifests, then indexes, the
 * root last. What is at the target already is not sent again. Nondistributable layers stay where they are, with a warning that says where:
 * the image spec forbids their upload. Each blob is verified, by the target or on the way.
 * @throws SlipwayError of the side that failed; what arrived before stays and is re-used by the next try.
 */
export async function copyGraph(
  source: ContentSource,
  target: ContentTarget,
  root: Descriptor,
  { reporter = silentReporter, signal: ending, onBlob = async () => {} }: CopyOptions = {},
): Promise<CopyResult> {
  const { documents, blobs } = await walk(source, root);
  const total = { copied: 0, resumed: 0, reused: 0 };
  target.expect?.(blobs.filter(({ mediaType }) => !isNondistributable(mediaType)));
  await mapLimit(blobs, target.parallel ?? PARALLEL, async (blob, _, failing) => {
    // One for each blob: the requests of all would be too many listeners of one signal.
    const signal = AbortSignal.any(ending === undefined ? [failing] : [failing, ending]);
    let read = 0;
    const counting = counted(source, (bytes) => (read += bytes));
    const placement = await copyBlob(counting, target, blob, reporter, signal);
    if (placement === undefined) return;
    // What had to be read twice counts once.
    const fresh = Math.min(read, blob.size);
    if (placement === 'copied') {
      total.copied += fresh;
      total.resumed += blob.size - fresh;
    } else total.reused += blob.size;
    await onBlob(blob, placement);
  });
  for (const document of documents) {
    if (!(await target.has(document.descriptor))) await target.pushDocument(document);
  }
  return total;
}

/** A source that tells how many bytes of blobs were read from it. */
function counted(source: ContentSource, onRead: (bytes: number) => void): ContentSource {
  return {
    ...source,
    async *open(descriptor, start, end, signal) {
      for await (const piece of source.open(descriptor, start, end, signal)) {
        onRead(piece.byteLength);
        yield piece;
      }
    },
  };
}

/** Copies one blob, unless it is there. @returns undefined when it stays where it is. */
export async function copyBlob(
  source: ContentSource,
  target: ContentTarget,
  blob: Descriptor,
  reporter: Reporter,
  signal: AbortSignal,
): Promise<Placement | undefined> {
  const name = shortDigest(blob.digest);
  if (isNondistributable(blob.mediaType)) {
    reporter.warn(
      `layer ${name} may not be distributed: left out${blob.urls?.[0] === undefined ? '' : `; it is at ${blob.urls[0]}`}`,
    );
    return undefined;
  }
  const task = reporter.task(name, blob.size);
  try {
    if (await target.has(blob, signal)) {
      task.done('exists');
      return 'exists';
    }
    if (source.has !== undefined && !(await source.has(blob))) {
      throw new SlipwayError('E_NOT_FOUND', `blob ${blob.digest} is missing in ${source.label}`, {
        hint: 'the image is incomplete there: pull or build it again',
      });
    }
    const placement = await push(source, target, blob, (bytes) => task.advance(bytes), signal);
    task.done(placement === 'copied' ? formatBytes(blob.size) : placement);
    return placement;
  } catch (error) {
    task.fail();
    throw error;
  }
}

async function push(
  source: ContentSource,
  target: ContentTarget,
  blob: Descriptor,
  onProgress: (bytes: number) => void,
  signal: AbortSignal,
): Promise<Placement> {
  const open = (start: number, end: number): AsyncIterable<Uint8Array> => source.open(blob, start, end, signal);
  if (source.verified === true || target.trusting !== true) return target.pushBlob(blob, open, onProgress, signal);
  const passing = new PassingBlob(blob, source.label, open);
  try {
    return await target.pushBlob(blob, (start, end) => passing.read(start, end), onProgress, signal);
  } finally {
    await passing.close();
  }
}

interface Graph {
  /** Children before parents. */
  readonly documents: readonly ContentDocument[];
  readonly blobs: readonly Descriptor[];
}

/** Everything that `root` reaches, each thing once. Digests make cycles impossible; the memory they may fill is bounded. */
async function walk(source: ContentSource, root: Descriptor): Promise<Graph> {
  const documents: ContentDocument[] = [];
  const blobs: Descriptor[] = [];
  const seen = new Set<string>();
  let held = 0;
  const visit = async (descriptor: Descriptor): Promise<void> => {
    if (seen.has(visited(descriptor))) return;
    seen.add(visited(descriptor));
    if (!isDocumentType(descriptor.mediaType)) {
      blobs.push(descriptor);
      return;
    }
    const document = await source.document(descriptor);
    held += document.bytes.byteLength;
    if (held > DOCUMENTS_LIMIT) {
      throw new SlipwayError(
        'E_INVALID_MANIFEST',
        `${root.digest} in ${source.label} reaches more than ${formatBytes(DOCUMENTS_LIMIT)} of manifests`,
      );
    }
    for (const next of successors(document.document)) await visit(next);
    documents.push(document);
  };
  await visit(root);
  return { documents, blobs };
}

import type { ClusterImageType } from '../../image/cluster-image.js';
import { completeMetadata, METADATA_PATH, type Metadata, parseMetadata } from '../../image/metadata.js';
import type { MergedTree } from '../../layers/merge.js';
import { readLayerFile } from '../../store/rootfs-file.js';
import { type BuildJob, createdTime } from '../job.js';
import { makeLayer } from '../make-layer.js';
import { instructionDone } from '../outcome.js';
import { nextKey, type StageState, stageTree } from '../stages/stage.js';

const METADATA_LIMIT = 1024 * 1024;

/** What a kube-installer's rootfs should hold at its root, and what looks for it there. */
const EXPECTED: Readonly<Record<string, string>> = {
  bin: 'the programs that are installed on the hosts',
  etc: 'the configuration that is rendered for each host',
  scripts: 'init.sh and clean.sh, which set a host up and take it back',
  [METADATA_PATH]: 'the version and the runtime (k8s, k0s or k3s) that "slipway run" installs',
};

/** What a kube-installer's rootfs lacks, and what looks for it. */
export function missingFromRootfs(tree: MergedTree): readonly { readonly path: string; readonly use: string }[] {
  return Object.entries(EXPECTED).flatMap(([path, use]) => (tree.get(path) === undefined ? [{ path, use }] : []));
}

/**
 * Checks the Metadata of a finished rootfs and completes it with what the build knows. When that changes the file, the new one is a
 * small last layer.
 * @throws SlipwayError E_INVALID_METADATA
 */
export async function finishMetadata(
  job: BuildJob,
  state: StageState,
  type: ClusterImageType,
): Promise<{ readonly state: StageState; readonly metadata: Metadata | undefined }> {
  const tree = await stageTree(job.store, state);
  if (type === 'kube-installer') {
    const missing = missingFromRootfs(tree);
    if (missing.length > 0) {
      job.reporter.warn(`the rootfs has no ${missing.map(({ path, use }) => `${path} (${use})`).join('; no ')}`);
    }
  }
  const source = tree.resolve(METADATA_PATH).found?.source;
  const layer = source === undefined ? undefined : state.layers[source.layer];
  if (source === undefined || layer === undefined) return { state, metadata: undefined };
  const text = (await readLayerFile(job.store, layer, source.entry, METADATA_LIMIT)).toString('utf8');
  const given = parseMetadata(text, METADATA_PATH);
  const metadata = completeMetadata(given, state.platform, METADATA_PATH);
  if (JSON.stringify(metadata) === JSON.stringify(given)) return { state, metadata };
  const bytes = Buffer.from(`${JSON.stringify(metadata, null, 2)}\n`);
  const { mode, uid, gid, mtime } = source.entry;
  const key = nextKey(state.key, 'Metadata', metadata);
  const instruction = { source: `COPY ${METADATA_PATH} ${METADATA_PATH}` };
  const notes = ['completed by the build'];
  const record = job.useCache ? await job.cache.get(key, key) : undefined;
  if (record !== undefined) {
    return {
      state: instructionDone(state, instruction, record.layers, key, { cached: true, created: record.created, notes })
        .state,
      metadata,
    };
  }
  const { layer: made } = await makeLayer(
    job,
    [{ path: METADATA_PATH, type: 'file', mode, uid, gid, mtime, size: bytes.length, content: { bytes } }],
    { title: METADATA_PATH },
  );
  const created = createdTime(job);
  await job.cache.put(key, key, { layers: [made], created });
  return { state: instructionDone(state, instruction, [made], key, { cached: false, created, notes }).state, metadata };
}

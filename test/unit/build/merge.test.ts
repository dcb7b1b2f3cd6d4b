import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { bothRanges } from '../../../src/build/merge/kube-versions.js';
import { mergeHistory } from '../../../src/build/merge/merge-history.js';
import { type MetadataSide, mergeMetadata } from '../../../src/build/merge/merge-metadata.js';
import { mergeStates } from '../../../src/build/merge/merge-states.js';
import { type LayerSide, stackLayers } from '../../../src/build/merge/stack-layers.js';
import { emptyStage, type StageState } from '../../../src/build/stages/stage.js';
import { digestOf } from '../../../src/image/digest.js';
import { parsePlatform } from '../../../src/image/platform.js';
import { differingAspects, factsOf } from '../../../src/layers/compare-trees.js';
import { mergeTocs } from '../../../src/layers/merge.js';
import type { LayerToc, TocEntry } from '../../../src/layers/toc.js';

/** A layer: `path=content`, `dir/`, `-path` takes away. */
function layer(...lines: readonly string[]): LayerToc {
  const entries = lines
    .map((line): TocEntry => {
      const common = { mode: 0o644, uid: 0, gid: 0, size: 0, mtime: 0, offset: 0 };
      if (line.startsWith('-')) return { ...common, path: line.slice(1), type: 'whiteout' };
      if (line.endsWith('/')) return { ...common, path: line.slice(0, -1), type: 'dir', mode: 0o755 };
      const [path = '', text = ''] = line.split('=');
      return { ...common, path, type: 'file', size: text.length, digest: digestOf(text) };
    })
    .sort((a, b) => (a.path < b.path ? -1 : 1));
  return { diffId: digestOf(lines.join('\n')), unpackedSize: 0, entries };
}

function side(name: string, ...tocs: readonly LayerToc[]): LayerSide {
  const descriptor = { mediaType: 'x', digest: digestOf('x'), size: 0 };
  return { name, tocs, layers: tocs.map(({ diffId }) => ({ diffId, descriptor })) };
}

function stack(...sides: readonly LayerSide[]) {
  const { layers, tree, conflicts, shared } = stackLayers(sides, () => false);
  return {
    layers: layers.map((one) => `${sides[one.side]?.name}${one.index}`),
    files: [...tree.entries()].filter(({ entry }) => entry.path !== '').map(({ entry }) => entry.path),
    conflicts: conflicts.map(
      ({ kind, subject, earlier, later, reason }) => `${kind} ${subject} ${earlier} ${later}: ${reason}`,
    ),
    shared,
  };
}

describe('layers', () => {
  const base = layer('a=1', 'b=1', 'd/', 'd/x=1');

  test('of images without anything in common lie upon each other', () => {
    expect(stack(side('A', layer('a=1')), side('B', layer('b=1'), layer('c=1')))).toEqual({
      layers: ['A0', 'B0', 'B1'],
      files: ['a', 'b', 'c'],
      conflicts: [],
      shared: [0, 0],
    });
  });

  test('of one base are there once', () => {
    const merged = stack(side('A', base, layer('x=1')), side('B', base, layer('y=1')), side('C', base));
    expect(merged).toMatchObject({ layers: ['A0', 'A1', 'B1'], conflicts: [], shared: [0, 1, 1] });
  });

  test('what only one has changed since the base is as that one has it', () => {
    const merged = stackLayers([side('A', base, layer('a=2', '-b')), side('B', base, layer('d/x=3'))], () => false);
    expect(merged.conflicts).toEqual([]);
    const content = (path: string) => merged.tree.get(path)?.source?.entry.digest;
    expect([content('a'), content('b'), content('d/x')]).toEqual([digestOf('2'), undefined, digestOf('3')]);
  });

  test('a third image may share its base with the first or the second', () => {
    const other = layer('o=1');
    const merged = stack(side('A', layer('k=1')), side('B', other, layer('b=1')), side('C', other, layer('c=1')));
    expect(merged).toMatchObject({ layers: ['A0', 'B0', 'B1', 'C1'], conflicts: [], shared: [0, 0, 1] });
  });

  test('a layer that is there already, and would change nothing, is not repeated', () => {
    const common = layer('blob=1');
    expect(stack(side('A', layer('a=1'), common), side('B', layer('b=1'), common)).layers).toEqual(['A0', 'A1', 'B0']);
    const again = stack(side('A', common, layer('blob=2')), side('B', layer('b=1'), common));
    expect(again.layers).toEqual(['A0', 'A1', 'B0', 'B1']);
    expect(again.conflicts).toEqual(['file blob A B: different content']);
  });

  test.each<[string, LayerSide, LayerSide, string[]]>([
    ['content', side('A', layer('a=1')), side('B', layer('a=2')), ['file a A B: different content']],
    ['equal content', side('A', layer('a=1')), side('B', layer('a=1', 'b=2')), []],
    [
      'a directory and a file',
      side('A', layer('d/', 'd/x=1')),
      side('B', layer('d=1')),
      ['file d A B: different kind'],
    ],
    [
      'a file and a directory',
      side('A', layer('d=1')),
      side('B', layer('d/', 'd/x=1')),
      ['file d A B: different kind'],
    ],
    ['both changed', side('A', base, layer('a=2')), side('B', base, layer('a=3')), ['file a A B: different content']],
    ['both changed to the same', side('A', base, layer('a=2')), side('B', base, layer('a=2', 'q=1')), []],
    [
      'changed and removed',
      side('A', base, layer('a=2')),
      side('B', base, layer('-a')),
      ['file a A B: changed in the one, removed in the other'],
    ],
    [
      'removed and changed',
      side('A', base, layer('-a')),
      side('B', base, layer('a=2')),
      ['file a A B: removed in the one, changed in the other'],
    ],
    ['both removed', side('A', base, layer('-a')), side('B', base, layer('-a', 'q=1')), []],
    [
      'hidden by chance',
      side('A', layer('f/', 'f/x=1', 'f/y=1')),
      side('B', layer('f/', 'f/q=1'), layer('-f')),
      ['file f A B: the layers of the other remove it'],
    ],
  ])('%s', (_, a, b, expected) => {
    expect(stack(a, b).conflicts).toEqual(expected);
  });

  test('a name of the registry that means two images is told as such', () => {
    const link = 'registry/docker/registry/v2/repositories/library/web/_manifests/tags/1.0/current/link';
    expect(stack(side('A', layer(`${link}=1`)), side('B', layer(`${link}=2`))).conflicts).toEqual([
      'image library/web:1.0 A B: the same name for different images',
    ]);
  });

  test('without conflicts, everything that an image has changed is in the result, and nothing else', () => {
    const path = fc.constantFrom('a', 'b', 'd/x', 'd/y', 'e/x');
    const line = fc.oneof(
      fc.tuple(path, fc.constantFrom('1', '2')).map(([name, text]) => `${name}=${text}`),
      path.map((name) => `-${name}`),
    );
    const anyLayer = fc
      .uniqueArray(line, { maxLength: 4, selector: (text) => text.replace(/^-|=.*$/g, '') })
      .map((lines) => layer(...lines));
    const layers = fc.array(anyLayer, { maxLength: 3 });
    fc.assert(
      fc.property(layers, layers, layers, (common, first, second) => {
        const [a, b] = [side('A', ...common, ...first), side('B', ...common, ...second)];
        const { tree, conflicts, shared } = stackLayers([a, b], () => false);
        const disputed = new Set(conflicts.map(({ subject }) => subject));
        const [ours, theirs] = [mergeTocs(a.tocs), mergeTocs(b.tocs)];
        const before = mergeTocs(b.tocs.slice(0, shared[1] ?? 0));
        const text = (of: typeof tree, name: string) => {
          const found = of.get(name);
          return found === undefined ? undefined : factsOf(found);
        };
        const equal = (x: ReturnType<typeof text>, y: ReturnType<typeof text>) =>
          x === undefined || y === undefined ? x === y : differingAspects(x, y).length === 0;
        for (const name of ['a', 'b', 'd/x', 'd/y', 'e/x']) {
          if (disputed.has(name) || disputed.has('d') || disputed.has('e')) continue;
          const [x, y, z] = [text(ours, name), text(theirs, name), text(before, name)];
          expect(equal(text(tree, name), equal(y, z) ? x : y), name).toBe(true);
        }
      }),
      { numRuns: 2_000 },
    );
  });
});

describe('Metadata', () => {
  const of = (name: string, metadata: MetadataSide['metadata'], type = 'app-installer', labels = {}): MetadataSide => ({
    name,
    type,
    metadata,
    labels,
  });
  const k8s = of('K', { version: 'v1.29.2', arch: 'amd64', ClusterRuntime: 'k8s', extra: 'kept' }, 'kube-installer');

  test('is united', () => {
    const merged = mergeMetadata([
      k8s,
      of('A', { kubeVersion: '>=1.24', arch: '' }),
      of('B', { kubeVersion: '<1.30', NydusFlag: true }),
    ]);
    expect(merged.conflicts).toEqual([]);
    expect(merged.metadata).toEqual({
      version: 'v1.29.2',
      arch: 'amd64',
      ClusterRuntime: 'k8s',
      extra: 'kept',
      kubeVersion: '>=1.24.0 <1.30.0-0',
      NydusFlag: true,
    });
  });

  test.each<[string, MetadataSide, string]>([
    ['another version', of('X', { version: 'v1.30.0' }), 'runtime the version of Kubernetes: v1.29.2 and v1.30.0'],
    ['another runtime', of('X', { ClusterRuntime: 'k3s' }), 'runtime ClusterRuntime: k8s and k3s'],
    [
      'a version that is not supported',
      of('X', { kubeVersion: '>=1.30' }),
      'kube-version the version of Kubernetes: v1.29.2 is not what ">=1.30" allows',
    ],
    [
      'a version that KUBEVERSION does not support',
      of('X', undefined, 'app-installer', { 'app.alpha.sealer.io/supported-kube-version': '<1.20' }),
      'kube-version the version of Kubernetes: v1.29.2 is not what "<1.20" allows',
    ],
  ])('%s is a conflict', (_, other, expected) => {
    for (const sides of [
      [k8s, other],
      [other, k8s],
    ]) {
      const found = mergeMetadata(sides).conflicts.map(({ kind, subject, reason }) => `${kind} ${subject}: ${reason}`);
      expect(found.map((line) => line.split(' ').sort())).toEqual([expected.split(' ').sort()]);
    }
  });

  test('ranges', () => {
    expect(bothRanges('>=1.20', '>=1.24 <1.30')).toBe('>=1.24 <1.30');
    expect(bothRanges('~1.28 || ~1.29', '>=1.29 <1.31')).toBe('>=1.29.0 <1.30.0-0 >=1.29.0 <1.31.0-0');
    expect(bothRanges('<1.20', '>=1.30')).toBeUndefined();
    expect(bothRanges('nonsense', '>=1.30')).toBeUndefined();
  });
});

describe('settings', () => {
  const state = (changes: Partial<StageState>): StageState => ({
    ...emptyStage(parsePlatform('linux/amd64')),
    ...changes,
  });

  test('are united, commands one image after the other', () => {
    const { settings, conflicts } = mergeStates([
      {
        name: 'A',
        sharesBase: false,
        state: state({
          env: { A: '1' },
          labels: { l: '1' },
          launchCmds: ['base', 'a'],
          appNames: ['web'],
          containerImages: [{ image: 'web:1' }],
          applications: [{ name: 'web' }],
        }),
      },
      {
        name: 'B',
        sharesBase: true,
        state: state({
          env: { A: '1', B: '2' },
          labels: { l: '2' },
          launchCmds: ['base', 'b', 'a'],
          appNames: ['web', 'db'],
          containerImages: [{ image: 'docker.io/library/web:1' }, { image: 'db:1' }],
          applications: [{ name: 'web' }, { name: 'db' }],
          workdir: '/x',
        }),
      },
      { name: 'C', sharesBase: false, state: state({ launchCmds: ['base'] }) },
    ]);
    expect(conflicts).toEqual([]);
    expect(settings).toMatchObject({
      env: { A: '1', B: '2' },
      labels: { l: '2' },
      launchCmds: ['base', 'a', 'b', 'a', 'base'],
      appNames: ['web', 'db'],
      applications: [{ name: 'web' }, { name: 'db' }],
      containerImages: [{ image: 'web:1' }, { image: 'db:1' }],
      workdir: '/x',
    });
  });

  test('other values and other applications of one name are conflicts', () => {
    const { conflicts } = mergeStates([
      {
        name: 'A',
        sharesBase: false,
        state: state({ env: { A: '1' }, applications: [{ name: 'web', version: '1' }] }),
      },
      {
        name: 'B',
        sharesBase: false,
        state: state({ env: { A: '2' }, applications: [{ name: 'web', version: '2' }] }),
      },
    ]);
    expect(conflicts.map(({ kind, subject }) => `${kind} ${subject}`)).toEqual(['env A', 'application web']);
  });
});

test('the history fits the layers', () => {
  const history = [
    { created_by: 'base' },
    { created_by: 'ENV', empty_layer: true },
    { created_by: 'own' },
    { created_by: 'twice' },
  ];
  const one = { name: 'A', history, layers: 3, created: undefined };
  expect(mergeHistory([{ ...one, shared: 0, kept: new Set([0, 1, 2]) }])).toEqual(history);
  expect(mergeHistory([{ ...one, shared: 2, kept: new Set([2]) }]).map((line) => line.created_by)).toEqual(['twice']);
  expect(mergeHistory([{ ...one, layers: 2, shared: 0, kept: new Set([0, 1]) }])).toEqual([
    { created_by: 'merged from A' },
    { created_by: 'merged from A' },
  ]);
});

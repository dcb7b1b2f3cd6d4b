import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Digest } from '../../../src/image/digest.js';
import type { CacheItem } from '../../../src/store/cache-items.js';
import { itemsToDrop, parseBytes, parseFilters } from '../../../src/store/prune-filter.js';

const NOW = Date.parse('2026-03-10T12:00:00Z');
const HOUR = 3_600_000;

describe('filters', () => {
  it.each([
    ['until=24h', NOW - 24 * HOUR],
    ['until=1h30m', NOW - 1.5 * HOUR],
    ['until=7d', NOW - 7 * 24 * HOUR],
    ['until=10s', NOW - 10_000],
    ['until=2026-01-31', Date.parse('2026-01-31')],
    ['until=2026-01-31T12:00:00+02:00', Date.parse('2026-01-31T10:00:00Z')],
    ['until=1700000000', 1_700_000_000_000],
  ])('%s', (text, until) => {
    expect(parseFilters([text], NOW)).toEqual({ until, labels: [] });
  });

  it('of several the strictest time counts; labels have a name, maybe a value, and may be denied', () => {
    expect(parseFilters(['until=1h', 'until=2h', 'label=a', 'label=b=c=d', 'label!=keep'], NOW)).toEqual({
      until: NOW - 2 * HOUR,
      labels: [
        { name: 'a', not: false },
        { name: 'b', value: 'c=d', not: false },
        { name: 'keep', not: true },
      ],
    });
  });

  it.each(['until', 'until=', 'until=soon', 'until!=1h', 'dangling=true', 'label', 'until=-1h', 'until=1h 2m'])(
    '%s is refused',
    (text) => {
      expect(() => parseFilters([text], NOW)).toThrow(expect.objectContaining({ code: 'E_USAGE' }));
    },
  );
});

it.each([
  ['10GB', 10e9],
  ['500mb', 500e6],
  ['1024', 1024],
  ['1.5k', 1500],
  ['2GiB', 2 * 1024 ** 3],
  ['0', 0],
])('%s is a size', (text, bytes) => {
  expect(parseBytes(text, '--keep-storage')).toBe(bytes);
});

it.each(['', 'x', '-1', '1PB', '10 G B'])('%j is no size', (text) => {
  expect(() => parseBytes(text, '--keep-storage')).toThrow(/--keep-storage/);
});

const record = fc.record({
  kind: fc.constant('record' as const),
  broken: fc.constant(false),
  path: fc.uuid(),
  lastUsed: fc.integer({ min: 0, max: 100 }),
  size: fc.constant(0),
  blobs: fc.array(
    fc.integer({ min: 0, max: 9 }).map((n) => ({
      // Equal digests have equal sizes.
      descriptor: { mediaType: 'layer', digest: `sha256:${n}` as Digest, size: n * 10 },
      diffId: `sha256:${n}` as Digest,
    })),
    { maxLength: 3 },
  ),
});

describe('the policy of the build cache', () => {
  const bytesOf = (records: readonly CacheItem[]): number =>
    [...new Map(records.flatMap(({ blobs }) => blobs.map(({ descriptor: d }) => [d.digest, d.size])))].reduce(
      (sum, [, size]) => sum + size,
      0,
    );

  it('never keeps more than it may, nor anything that is older than what it drops for its size', () => {
    fc.assert(
      fc.property(fc.array(record), fc.integer({ min: 0, max: 200 }), (records, keepBytes) => {
        const dropped = new Set(itemsToDrop(records, { keepBytes }));
        const kept = records.filter((one) => !dropped.has(one));
        expect(bytesOf(kept)).toBeLessThanOrEqual(keepBytes);
        for (const one of kept)
          for (const other of dropped) expect(one.lastUsed).toBeGreaterThanOrEqual(other.lastUsed);
      }),
    );
  });

  it('drops what was not used since then, and nothing else', () => {
    fc.assert(
      fc.property(fc.array(record), fc.integer({ min: 0, max: 100 }), (records, unusedSince) => {
        expect(new Set(itemsToDrop(records, { unusedSince }))).toEqual(
          new Set(records.filter(({ lastUsed }) => lastUsed < unusedSince)),
        );
      }),
    );
  });

  it('all and nothing', () => {
    const records = fc.sample(fc.array(record, { minLength: 5 }), 1)[0] ?? [];
    expect(itemsToDrop(records, {})).toEqual([]);
    expect(itemsToDrop(records, { unusedSince: Number.POSITIVE_INFINITY })).toHaveLength(records.length);
  });
});

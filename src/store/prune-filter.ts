import { SlipwayError } from '../base/errors.js';
import type { CacheItem } from './cache-items.js';
import type { StoredImage } from './image-index.js';
import { readDocument, readImageAt } from './local-image.js';
import type { Store } from './store.js';

/** What `--filter` chooses, as docker has it. Filters of different keys must all hold, and so must several labels. */
export interface PruneFilter {
  /** Milliseconds since the epoch: only what is older. */
  readonly until?: number | undefined;
  readonly labels: readonly LabelFilter[];
}

interface LabelFilter {
  readonly name: string;
  readonly value?: string;
  /** `label!=…`: the image must not have it. */
  readonly not: boolean;
}

const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/**
 * Reads `until=24h`, `until=2026-01-31T12:00:00Z`, `until=SECONDS`, `label=NAME[=VALUE]`, `label!=NAME[=VALUE]`.
 * @param now milliseconds since the epoch.
 * @throws SlipwayError E_USAGE
 */
export function parseFilters(texts: readonly string[], now: number): PruneFilter {
  let until: number | undefined;
  const labels: LabelFilter[] = [];
  for (const text of texts) {
    const match = /^(until|label)(!?)=(.+)$/s.exec(text);
    const [, key, not, value = ''] = match ?? [];
    if (key === undefined || (key === 'until' && not === '!')) {
      throw new SlipwayError('E_USAGE', `--filter ${JSON.stringify(text)} is not known`, {
        hint: 'write until=24h, until=2026-01-31, label=NAME, label=NAME=VALUE or label!=NAME',
      });
    }
    if (key === 'until') {
      const time = parseTime(value, now);
      until = until === undefined ? time : Math.min(until, time);
    } else {
      const equals = value.indexOf('=');
      labels.push({
        name: equals < 0 ? value : value.slice(0, equals),
        ...(equals < 0 ? {} : { value: value.slice(equals + 1) }),
        not: not === '!',
      });
    }
  }
  return { until, labels };
}

/** A Go duration before now (`1h30m`, also `7d`), seconds since the epoch, or a date (a day alone is midnight UTC). */
function parseTime(text: string, now: number): number {
  if (/^\d+(?:\.\d+)?$/.test(text)) return Number(text) * 1000;
  if (/^(?:\d+(?:\.\d+)?(?:ms|[smhd]))+$/.test(text)) {
    let age = 0;
    for (const [, count, unit] of text.matchAll(/(\d+(?:\.\d+)?)(ms|[smhd])/g))
      age += Number(count) * (UNITS[unit ?? ''] ?? 0);
    return now - age;
  }
  const time = /^\d{4}-\d{2}-\d{2}/.test(text) ? Date.parse(text) : Number.NaN;
  if (!Number.isNaN(time)) return time;
  throw new SlipwayError('E_USAGE', `--filter until=${text}: ${JSON.stringify(text)} is neither an age nor a time`, {
    hint: 'write an age (24h, 1h30m, 7d) or a time (2026-01-31, 2026-01-31T12:00:00Z)',
  });
}

/** Bytes as people write them, in powers of 1000 as docker has it: `10GB`, `500mb`, `1024`. @throws SlipwayError E_USAGE */
export function parseBytes(text: string, flag: string): number {
  const match = /^(\d+(?:\.\d+)?)\s*(?:([kmgt])(i?)b?|b)?$/i.exec(text.trim());
  if (match === null) throw new SlipwayError('E_USAGE', `${flag} ${text} is no size`, { hint: 'write 500MB, 10GB …' });
  const power = 'kmgt'.indexOf((match[2] ?? '').toLowerCase()) + (match[2] === undefined ? 0 : 1);
  return Math.floor(Number(match[1]) * (match[3] ? 1024 : 1000) ** power);
}

/** True when an image is chosen. Of an index, its images must be. What cannot be read is never chosen. */
export async function imageMatches(
  store: Store,
  { until, labels }: PruneFilter,
  { name, descriptor }: StoredImage,
): Promise<boolean> {
  if (until === undefined && labels.length === 0) return true;
  try {
    const document = await readDocument(store, descriptor, name);
    const manifests = document.kind === 'index' ? document.index.manifests : [descriptor];
    for (const manifest of manifests) {
      if ((await store.blobSize(manifest.digest)) === undefined) continue;
      const { config } = await readImageAt(store, name, manifest);
      const own = config.config?.Labels ?? {};
      if (until !== undefined && !(Date.parse(config.created ?? '') < until)) return false;
      if (!labels.every((label) => hasLabel(own, label) !== label.not)) return false;
    }
    return true;
  } catch (error) {
    if (error instanceof SlipwayError) return false;
    throw error;
  }
}

function hasLabel(labels: Readonly<Record<string, string>>, { name, value }: LabelFilter): boolean {
  return Object.hasOwn(labels, name) && (value === undefined || labels[name] === value);
}

export interface CachePolicy {
  /** Drop what was last used before this time (milliseconds since the epoch). */
  readonly unusedSince?: number | undefined;
  /** Drop what was used longest ago until the others, with their blobs, have no more bytes than this. */
  readonly keepBytes?: number | undefined;
}

/** What of the cache a policy drops. A blob of several items is counted once. */
export function itemsToDrop(items: readonly CacheItem[], { unusedSince, keepBytes }: CachePolicy): CacheItem[] {
  const newestFirst = [...items].sort((a, b) => b.lastUsed - a.lastUsed);
  const dropped: CacheItem[] = [];
  const held = new Set<string>();
  let bytes = 0;
  let full = false;
  for (const item of newestFirst) {
    if (unusedSince !== undefined && item.lastUsed < unusedSince) {
      dropped.push(item);
      continue;
    }
    const more = new Map(
      item.blobs.flatMap(({ descriptor: { digest, size } }) => (held.has(digest) ? [] : [[digest, size]])),
    );
    const size = [...more.values()].reduce((sum, one) => sum + one, item.size);
    full ||= keepBytes !== undefined && bytes + size > keepBytes;
    if (full) dropped.push(item);
    else {
      bytes += size;
      for (const digest of more.keys()) held.add(digest);
    }
  }
  return dropped;
}

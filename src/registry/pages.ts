import * as z from 'zod';
import { SlipwayError } from '../base/errors.js';
import { zodProblems } from '../base/zod-error.js';
import { nextPage } from './link-header.js';
import type { RegistryAnswer, RegistryRequest, Session } from './session.js';

const PAGE_LIMIT = 8 * 1024 * 1024;
const MOST_PAGES = 10_000;
/** Bytes of all pages of a list: names are kept in memory. */
const LIST_LIMIT = 64 * 1024 * 1024;

/**
 * Gets a list that a registry gives in pages (distribution-spec: Link with `rel="next"`). A registry that sends round in a circle, or
 * without end, is stopped.
 * @param list takes the items from one page's JSON.
 */
export async function allPages<T>(
  session: Session,
  request: RegistryRequest,
  list: (page: unknown, answer: RegistryAnswer) => readonly T[],
): Promise<T[]> {
  const items: T[] = [];
  const visited = new Set<string>();
  let bytes = 0;
  let target: string | URL | undefined = request.target;
  while (target !== undefined) {
    const answer: RegistryAnswer = await session.answer({ ...request, target }, PAGE_LIMIT);
    if (visited.has(answer.url.href) || visited.size >= MOST_PAGES) {
      throw new SlipwayError('E_REGISTRY', `${session.host}: ${request.what}: the pages of the list have no end`);
    }
    visited.add(answer.url.href);
    if (answer.status !== 200) break;
    bytes += answer.bytes.byteLength;
    if (bytes > LIST_LIMIT) {
      throw new SlipwayError(
        'E_REGISTRY',
        `${session.host}: ${request.what}: the list is longer than ${LIST_LIMIT} bytes`,
      );
    }
    items.push(...list(parsePage(answer.bytes, session.host, request.what), answer));
    target = nextPage(answer.headers.link, answer.url);
  }
  return items;
}

/** Checks a page against its schema. @throws SlipwayError E_REGISTRY */
export function checkPage<T extends z.ZodType>(schema: T, page: unknown, host: string, what: string): z.infer<T> {
  const parsed = schema.safeParse(page);
  if (parsed.success) return parsed.data;
  throw new SlipwayError(
    'E_REGISTRY',
    `${host}: ${what}: the answer is not what the specification says: ${zodProblems(parsed.error)}`,
  );
}

/** A list of names; Go registries write `null` for an empty one. */
export const nameList = z.preprocess((value) => value ?? [], z.array(z.string()));

function parsePage(bytes: Buffer, host: string, what: string): unknown {
  try {
    return JSON.parse(bytes.toString('utf8'));
  } catch (cause) {
    throw new SlipwayError('E_REGISTRY', `${host}: ${what}: the answer is not JSON`, {
      hint: 'is there a registry at this address?',
      cause,
    });
  }
}

import { type Exchange, sendJson, wrongMethod } from './exchange.js';
import { HttpError } from './http-error.js';
import { servedImages } from './names.js';

const LARGEST_PAGE = 10_000;

/** The tags of a repository, in pages when asked with `n`; distribution-spec, "Listing Tags". */
export async function serveTags(exchange: Exchange, repository: string): Promise<void> {
  requireGet(exchange);
  const images = (await servedImages(exchange.state.store, exchange.hosts)).filter(
    (image) => image.repository === repository,
  );
  if (images.length === 0) throw new HttpError(404, 'NAME_UNKNOWN', `no repository ${repository}`);
  const tags = images.flatMap(({ tag }) => (tag === undefined ? [] : [tag])).sort();
  sendPage(exchange, tags, (page) => ({ name: repository, tags: page }));
}

/** All repositories, in pages when asked with `n`; docker's registry API. */
export async function serveCatalog(exchange: Exchange): Promise<void> {
  requireGet(exchange);
  const images = await servedImages(exchange.state.store, exchange.hosts);
  const repositories = [...new Set(images.map(({ repository }) => repository))].sort();
  sendPage(exchange, repositories, (page) => ({ repositories: page }));
}

function sendPage(exchange: Exchange, names: readonly string[], body: (page: readonly string[]) => unknown): void {
  const { url } = exchange;
  const last = url.searchParams.get('last');
  const size = pageSize(url.searchParams.get('n'));
  const rest = last === null ? names : names.filter((name) => name > last);
  const page = rest.slice(0, size);
  const end = page.at(-1);
  const more = end !== undefined && page.length < rest.length;
  const query = new URLSearchParams({ n: String(size), last: end ?? '' });
  sendJson(exchange, body(page), more ? { link: `<${url.pathname}?${query}>; rel="next"` } : {});
}

function pageSize(text: string | null): number {
  if (text === null) return LARGEST_PAGE;
  if (!/^\d{1,9}$/.test(text)) throw new HttpError(400, 'UNSUPPORTED', 'n is not a number');
  return Math.min(Number(text), LARGEST_PAGE);
}

function requireGet(exchange: Exchange): void {
  if (exchange.request.method !== 'GET' && exchange.request.method !== 'HEAD') throw wrongMethod(exchange, 'GET');
}

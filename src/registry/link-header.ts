/** One link of a Link header: its target, and its parameters as they are written. */
interface Link {
  readonly target: string;
  readonly params: ReadonlyMap<string, string>;
}

const TARGET = /[^<]*<([^>]*)>/y;
const PARAM = /[ \t]*;[ \t]*([\w!#$&+.^`|~*-]+)/y;
const VALUE = /[ \t]*=[ \t]*(?:"([^"]*)"|([^\s;,"]*))/y;

/**
 * The URL of the next page in Link headers (RFC 8288), relative to the page that carried them; undefined on the last page.
 * Only path and query of the target are used: the list is asked for
 * with our token, and registries behind a proxy often name themselves by a scheme or host that is not theirs.
 */
export function nextPage(header: string | readonly string[] | undefined, base: URL): URL | undefined {
  const headers = header === undefined ? [] : typeof header === 'string' ? [header] : header;
  for (const { target, params } of headers.flatMap(parseLinks)) {
    const isNext = params.get('rel')?.toLowerCase().split(/\s+/).includes('next') === true;
    if (!isNext || !URL.canParse(target, base.href)) continue;
    const { pathname, search } = new URL(target, base);
    const next = new URL(base);
    // Set, not parsed: a path that begins with two slashes is none of another host.
    next.pathname = pathname;
    next.search = search;
    return next;
  }
  return undefined;
}

/** From left to right, each character once: a header of a stranger is as long as it likes. */
function parseLinks(text: string): Link[] {
  let position = 0;
  const take = (pattern: RegExp): RegExpExecArray | undefined => {
    pattern.lastIndex = position;
    const match = pattern.exec(text);
    if (match === null) return undefined;
    position = pattern.lastIndex;
    return match;
  };
  const links: Link[] = [];
  for (let found = take(TARGET); found !== undefined; found = take(TARGET)) {
    const params = new Map<string, string>();
    for (let param = take(PARAM); param !== undefined; param = take(PARAM)) {
      const name = param[1]?.toLowerCase() ?? '';
      const value = take(VALUE);
      // RFC 8288, 3.3: of several the first counts.
      if (!params.has(name)) params.set(name, value?.[1] ?? value?.[2] ?? '');
    }
    links.push({ target: found[1] ?? '', params });
  }
  return links;
}

/**
 * The URL of the next page in Link headers (RFC 8288), relative to the page that carried them; undefined on the last page.
 * Only path and query of the target are used: the list is asked for
 * with our token, and registries behind a proxy often name themselves by a scheme or host that is not theirs.
 */
export function nextPage(header: string | readonly string[] | undefined, base: URL): URL | undefined {
  const headers = header === undefined ? [] : typeof header === 'string' ? [header] : header;
  for (const line of headers) {
    for (const [, target = '', params = ''] of line.matchAll(
      /<([^>]*)>((?:\s*;\s*[\w!#$&+.^`|~*-]+(?:\s*=\s*(?:"[^"]*"|[^\s;,"]*))?)*)/g,
    )) {
      const isNext = /;\s*rel\s*=\s*(?:"(?:[^"]*\s)?next(?:\s[^"]*)?"|next(?=[\s;,]|$))/i.test(params);
      if (!isNext || !URL.canParse(target, base.href)) continue;
      const { pathname, search } = new URL(target, base);
      const next = new URL(base);
      // Set, not parsed: a path that begins with two slashes is none of another host.
      next.pathname = pathname;
      next.search = search;
      return next;
    }
  }
  return undefined;
}

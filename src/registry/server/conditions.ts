import type { IncomingHttpHeaders } from 'node:http';

/** The validator of content: its digest is all there is to know. */
export function etagOf(digest: string): string {
  return `"${digest}"`;
}

/** Whether If-None-Match (RFC 9110, 13.1.2) says that the client has this already. */
export function isKnown(headers: IncomingHttpHeaders, etag: string): boolean {
  const given = headers['if-none-match'];
  if (given === undefined) return false;
  return given.trim() === '*' || given.split(',').some((entry) => entry.trim().replace(/^W\//, '') === etag);
}

/** The Range header that counts: none when If-Range (RFC 9110, 13.1.5) names other content than there is. */
export function rangeHeader(headers: IncomingHttpHeaders, etag: string): string | undefined {
  const condition = headers['if-range'];
  return condition === undefined || String(condition).trim() === etag ? headers.range : undefined;
}

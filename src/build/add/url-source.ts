import { SlipwayError } from '../../base/errors.js';
import { registerSecret } from '../../base/redact.js';

/** A file behind a URL. */
export interface UrlSource {
  /** Without credentials and fragment. */
  readonly url: URL;
  /** For messages: without the query, which may hold a token. */
  readonly shown: string;
  /** The value of the Authorization header. */
  readonly authorization: string | undefined;
  /** The last part of its path; undefined when there is none. */
  readonly name: string | undefined;
}

/**
 * Reads the source of an ADD as a file of a web server.
 * @returns undefined when it is no http(s) URL. @throws SlipwayError E_COPY when it is a malformed one, or its name is no file name.
 */
export function parseUrlSource(text: string): UrlSource | undefined {
  if (!/^https?:\/\//i.test(text)) return undefined;
  if (!URL.canParse(text)) throw new SlipwayError('E_COPY', `${text} is not a valid URL`);
  const url = new URL(text);
  const user = decode(url.username);
  const password = decode(url.password);
  // A token may stand alone as the user; a mere name is no secret.
  for (const secret of password === '' ? [user] : [password, url.password]) registerSecret(secret);
  const anonymous = user === '' && password === '';
  const authorization = anonymous ? undefined : `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;
  registerSecret(authorization?.slice('Basic '.length));
  url.username = '';
  url.password = '';
  url.hash = '';
  const shown = `${url.origin}${url.pathname}`;
  const name = decode(url.pathname.split('/').findLast((part) => part !== '') ?? '');
  if (name.includes('/') || name.includes('\0') || name === '.' || name === '..') {
    throw new SlipwayError('E_COPY', `${shown}: ${JSON.stringify(name)} is no file name`, {
      hint: 'name the file in the destination',
    });
  }
  return { url, shown, authorization, name: name === '' ? undefined : name };
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

import http from 'node:http';

export interface Answer {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: string;
}

/** A request as it is: no client of ours between the test and the wire. The path is sent as it is written. */
export function send(
  address: string,
  method: string,
  path: string,
  headers: http.OutgoingHttpHeaders = {},
  body: string | Buffer = '',
): Promise<Answer> {
  const [host, port] = address.split(':');
  return new Promise((resolve, reject) => {
    const length = method === 'GET' || method === 'HEAD' ? {} : { 'content-length': Buffer.byteLength(body) };
    const request = http.request({ host, port, method, path, headers: { ...length, ...headers } }, (response) => {
      let text = '';
      response.on('data', (chunk) => (text += chunk));
      response.on('error', reject);
      response.on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, body: text }));
    });
    request.on('error', reject);
    request.end(body);
  });
}

export function get(address: string, path: string, headers: http.OutgoingHttpHeaders = {}): Promise<Answer> {
  return send(address, 'GET', path, headers);
}

/** The code of distribution-spec's error document. */
export function codeOf({ body }: Answer): string {
  return JSON.parse(body).errors[0].code;
}

/** Uploads a blob as simple clients do; gives its digest. */
export async function pushBlob(address: string, repository: string, content: string | Buffer, digest: string) {
  const begun = await send(address, 'POST', `/v2/${repository}/blobs/uploads/`);
  const { location } = begun.headers;
  return send(address, 'PUT', `${location}?digest=${digest}`, { 'content-type': 'application/octet-stream' }, content);
}

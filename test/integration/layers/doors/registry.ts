import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface Answer {
  readonly type?: string;
  readonly body: Buffer | 'endless';
}

export interface HostileRegistry {
  /** `127.0.0.1:PORT`. */
  readonly address: string;
  /** What was asked for, `METHOD PATH`, and with which credentials. */
  readonly requests: readonly { readonly what: string; readonly authorization: string | undefined }[];
  /** Bytes of endless answers that somebody took. */
  taken(): number;
  close(): Promise<void>;
}

/**
 * A registry that says whatever it is told to, by path. docker-registry does not keep what these tests are about.
 *
 * @param password asked for everywhere, with any user.
 */
export async function hostileRegistry(
  answers: ReadonlyMap<string, Answer>,
  password?: string,
): Promise<HostileRegistry> {
  const requests: { what: string; authorization: string | undefined }[] = [];
  let taken = 0;
  const server = createServer((request, response) => {
    const { method = '', url = '' } = request;
    requests.push({ what: `${method} ${url}`, authorization: request.headers.authorization });
    if (password !== undefined && request.headers.authorization === undefined) {
      response.writeHead(401, { 'www-authenticate': 'Basic realm="x"' }).end();
      return;
    }
    const answer = url === '/v2/' ? { body: Buffer.from('{}') } : answers.get(url);
    if (answer === undefined) {
      response.writeHead(404).end('{}');
      return;
    }
    const type = { 'content-type': answer.type ?? 'application/octet-stream' };
    if (answer.body === 'endless') {
      response.writeHead(200, type);
      const piece = Buffer.alloc(65536, ' ');
      const more = (): void => {
        if (response.destroyed) return;
        taken += piece.length;
        response.write(piece, more);
      };
      if (method === 'HEAD') response.end();
      else more();
      return;
    }
    response.writeHead(200, { ...type, 'content-length': answer.body.length });
    response.end(method === 'HEAD' ? undefined : answer.body);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    taken: () => taken,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

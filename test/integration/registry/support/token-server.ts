import { createHash, createPrivateKey, createPublicKey, sign } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { must } from './programs.js';

export interface TokenServerOptions {
  /** Who may log in; nobody else gets more than anonymous rights. */
  readonly users?: Readonly<Record<string, string>>;
  /** Repositories that everybody may pull from. */
  readonly open?: readonly string[];
  /** A token for this user of the OAuth2 kind. */
  readonly refreshToken?: string;
  /** Which field of the answer carries the token. */
  readonly field?: 'token' | 'access_token';
  /** Seconds. */
  readonly life?: number;
  /** Seconds that the answer says. */
  readonly saidLife?: number;
}

export interface TokenRequest {
  readonly method: string;
  readonly scopes: readonly string[];
  readonly user: string | undefined;
  readonly granted: boolean;
}

export interface TokenServer {
  readonly realm: string;
  readonly service: string;
  readonly issuer: string;
  /** PEM file that the registry verifies tokens with. */
  readonly rootCert: string;
  readonly requests: TokenRequest[];
  close(): Promise<void>;
}

/** A token server as distribution's specification has it: signs what it grants, and docker's registry verifies that. */
export async function startTokenServer(dir: string, options: TokenServerOptions = {}): Promise<TokenServer> {
  const { users = {}, open = [], refreshToken, field = 'token', life = 300, saidLife = life } = options;
  const [key, cert] = [join(dir, 'token.key'), join(dir, 'token.pem')];
  const ec = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  await must('openssl', ['req', '-x509', ...ec, '-days', '2', '-subj', '/CN=issuer', '-keyout', key, '-out', cert]);
  const privateKey = createPrivateKey(await readFile(key));
  const kid = keyId(createPublicKey(privateKey).export({ type: 'spki', format: 'der' }));
  const requests: TokenRequest[] = [];
  const [service, issuer] = ['test-registry', 'test-issuer'];

  const server = http.createServer(async (request, response) => {
    let body = '';
    for await (const chunk of request) body += chunk;
    const url = new URL(request.url ?? '', 'http://localhost');
    const form = request.method === 'POST' ? new URLSearchParams(body) : url.searchParams;
    const scopes = form
      .getAll('scope')
      .flatMap((text) => text.split(' '))
      .filter((text) => text !== '');
    const [name, password] = basic(request.headers.authorization);
    const offered = form.get('refresh_token');
    const user = offered !== null && offered === refreshToken ? 'token-user' : name;
    const wrong = (name !== undefined && users[name] !== password) || (offered !== null && offered !== refreshToken);
    requests.push({ method: request.method ?? '', scopes, user, granted: !wrong });
    if (wrong) {
      response.writeHead(401, { 'content-type': 'application/json' });
      response.end('{"errors":[{"code":"UNAUTHORIZED","message":"incorrect username or password"}]}');
      return;
    }
    const access = scopes.flatMap((scope) => {
      const [type = '', repository = '', actions = ''] = scope.split(':');
      const allowed = actions
        .split(',')
        .filter((action) => user !== undefined || (action === 'pull' && open.includes(repository)));
      return allowed.length === 0 ? [] : [{ type, name: repository, actions: allowed }];
    });
    const now = Math.floor(Date.now() / 1000);
    const claims = {
      iss: issuer,
      sub: user ?? '',
      aud: service,
      exp: now + life,
      nbf: now - 5,
      iat: now,
      jti: String(requests.length),
      access,
    };
    const head = `${encode({ typ: 'JWT', alg: 'ES256', kid })}.${encode(claims)}`;
    const signature = sign('sha256', Buffer.from(head), { key: privateKey, dsaEncoding: 'ieee-p1363' });
    response.writeHead(200, { 'content-type': 'application/json' });
    response.end(JSON.stringify({ [field]: `${head}.${signature.toString('base64url')}`, expires_in: saidLife }));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    realm: `http://127.0.0.1:${(server.address() as AddressInfo).port}/token`,
    service,
    issuer,
    rootCert: cert,
    requests,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function basic(header: string | undefined): readonly [string | undefined, string | undefined] {
  const encoded = /^Basic (.*)$/.exec(header ?? '')?.[1];
  if (encoded === undefined) return [undefined, undefined];
  const text = Buffer.from(encoded, 'base64').toString();
  return [text.slice(0, text.indexOf(':')), text.slice(text.indexOf(':') + 1)];
}

function encode(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}

/** libtrust's key id: base32 of 30 bytes of the key's sha256, in groups of four. */
function keyId(der: Buffer): string {
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';
  const bits = [...createHash('sha256').update(der).digest().subarray(0, 30)]
    .map((byte) => byte.toString(2).padStart(8, '0'))
    .join('');
  const text = (bits.match(/.{5}/g) ?? []).map((five) => alphabet[Number.parseInt(five, 2)]).join('');
  return (text.match(/.{4}/g) ?? []).join(':');
}

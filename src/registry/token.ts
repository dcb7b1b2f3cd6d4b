import * as z from 'zod';
import { SlipwayError } from '../base/errors.js';
import { registerToken } from '../base/redact.js';
import { readBounded } from './bounded.js';
import type { Credential } from './credentials.js';
import { isLoopback } from './host.js';
import { isPassing, networkError } from './network-failure.js';
import { responseError } from './registry-error.js';
import { backoff, isPassingStatus, LONGEST_WAIT, parseRetryAfter, TRIES, wait } from './retry.js';
import type { Scope } from './scope.js';
import { type HttpRequest, type HttpResponse, headerOf, type Transport } from './transport.js';

/** Seconds that a token lives when the server does not say, and at least; distribution's token specification. */
const LEAST_LIFE = 60;
/** A token about to expire is not used any more: it must live until the request has arrived. */
const MARGIN = 5_000;
const ANSWER_LIMIT = 1024 * 1024;
const CLIENT_ID = 'slipway';

export interface Token {
  readonly text: string;
  /** Milliseconds since the epoch, by our clock. */
  readonly expires: number;
}

/** Who gives tokens for a registry. */
export interface TokenService {
  /** The registry's host as in image names. */
  readonly registry: string;
  /** Where the challenge came from. */
  readonly origin: URL;
  readonly realm: string;
  readonly service: string | undefined;
}

export interface TokenOptions {
  /** Milliseconds before the first repetition. */
  readonly retryDelay?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

const answerSchema = z.looseObject({
  token: z.string().optional().catch(undefined),
  access_token: z.string().optional().catch(undefined),
  expires_in: z.number().nonnegative().optional().catch(undefined),
});

/**
 * Gets a token for `scopes`: GET with Basic, or without when there are no credentials; POST with an identity token (OAuth2).
 * @throws SlipwayError E_UNAUTHORIZED when the server refuses or the realm is not trustworthy, E_REGISTRY_UNREACHABLE, E_REGISTRY.
 */
export async function fetchToken(
  transport: Transport,
  service: TokenService,
  scopes: readonly Scope[],
  credential: Exclude<Credential, { kind: 'registry-token' }> | undefined,
  options: TokenOptions = {},
): Promise<Token> {
  const { registry } = service;
  const realm = realmUrl(service);
  const request = tokenRequest(realm, service.service, scopes, credential);
  const what = `getting a token from ${realm.host}`;
  const { response, bytes } = await sendWithRetries(transport, request, registry, what, options);
  const asked = Date.now();
  if (response.status !== 200) {
    const failure = responseError({ host: registry, method: request.method, what }, response.status, bytes);
    if (failure.code !== 'E_UNAUTHORIZED' || credential === undefined) throw failure;
    throw new SlipwayError('E_UNAUTHORIZED', failure.message, {
      hint: `the user name or the password is wrong, or may not do this: slipway login ${registry}`,
      ...(failure.details === undefined ? {} : { details: failure.details }),
    });
  }
  const answer = parseAnswer(bytes);
  const text = answer?.token || answer?.access_token;
  if (text === undefined || text === '' || /[^\x21-\x7e]/.test(text)) {
    throw new SlipwayError('E_REGISTRY', `${registry}: ${what}: the answer holds no token`);
  }
  registerToken(text);
  const life = Math.max(answer?.expires_in ?? LEAST_LIFE, LEAST_LIFE) * 1000;
  return { text, expires: asked + life - MARGIN };
}

/**
 * A token server is trusted with the password, so it must be reached by https, or be the very host that was asked by plain http.
 * @throws SlipwayError E_UNAUTHORIZED
 */
function realmUrl({ registry, origin, realm }: TokenService): URL {
  const url = URL.canParse(realm) ? new URL(realm) : undefined;
  const sameHost = url?.hostname === origin.hostname && (origin.protocol === 'http:' || isLoopback(url.hostname));
  if (url?.protocol === 'https:' || (url?.protocol === 'http:' && sameHost)) {
    url.username = '';
    url.password = '';
    return url;
  }
  throw new SlipwayError(
    'E_UNAUTHORIZED',
    `${registry} sends to ${JSON.stringify(realm.slice(0, 200))} for a token: refused`,
    {
      hint: 'a token server must be reached by https, or be on the same host',
    },
  );
}

function tokenRequest(
  realm: URL,
  service: string | undefined,
  scopes: readonly Scope[],
  credential: Exclude<Credential, { kind: 'registry-token' }> | undefined,
): HttpRequest {
  if (credential?.kind === 'identity-token') {
    const form = new URLSearchParams({
      grant_type: 'refresh_token',
      ...(service === undefined ? {} : { service }),
      client_id: CLIENT_ID,
      scope: scopes.join(' '),
      refresh_token: credential.token,
    });
    return {
      method: 'POST',
      url: realm,
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      body: Buffer.from(form.toString()),
      secretBody: true,
    };
  }
  const url = new URL(realm);
  if (service !== undefined) url.searchParams.set('service', service);
  for (const scope of scopes) url.searchParams.append('scope', scope);
  if (credential === undefined) return { method: 'GET', url };
  url.searchParams.set('account', credential.username);
  const basic = Buffer.from(`${credential.username}:${credential.password}`).toString('base64');
  return { method: 'GET', url, authorization: `Basic ${basic}` };
}

async function sendWithRetries(
  transport: Transport,
  request: HttpRequest,
  registry: string,
  what: string,
  { retryDelay, signal }: TokenOptions,
): Promise<{ readonly response: HttpResponse; readonly bytes: Uint8Array }> {
  for (let round = 0; ; round++) {
    const last = round === TRIES - 1;
    try {
      const response = await transport.send({ ...request, signal });
      const bytes = (await readBounded(response.body, ANSWER_LIMIT)) ?? Buffer.alloc(0);
      const pause = parseRetryAfter(headerOf(response, 'retry-after')) ?? backoff(round, retryDelay);
      if (last || !isPassingStatus(response.status) || pause > LONGEST_WAIT) return { response, bytes };
      await wait(pause, signal);
    } catch (error) {
      signal?.throwIfAborted();
      if (error instanceof SlipwayError) throw error;
      if (last || !isPassing(error, false)) throw networkError(registry, what, error);
      await wait(backoff(round, retryDelay), signal);
    }
  }
}

function parseAnswer(bytes: Uint8Array): z.infer<typeof answerSchema> | undefined {
  try {
    return answerSchema.parse(JSON.parse(Buffer.from(bytes).toString('utf8')));
  } catch {
    return undefined;
  }
}

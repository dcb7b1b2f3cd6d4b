import { SlipwayError } from '../base/errors.js';
import { registerSecret } from '../base/redact.js';
import { type Challenge, parseChallenges } from './challenge.js';
import type { Credential } from './credentials.js';
import { joinScopes, type Scope } from './scope.js';
import { fetchToken, type Token, type TokenOptions, type TokenService } from './token.js';
import { type HttpResponse, headerOf, type Transport } from './transport.js';

/** How a registry wants to be asked; learnt from its first 401. */
type Scheme =
  | { readonly kind: 'none' }
  | { readonly kind: 'basic' }
  | { readonly kind: 'bearer'; readonly service: TokenService };

/**
 * Authorises the requests to one repository: anonymous, Basic or Bearer as the registry's challenges say. Tokens are kept per
 * set of scopes; requests that run side by side share one. Each request is authorised anew at most twice: a registry that is never
 * content gets an error, not a loop.
 */
export class Authorizer {
  readonly #host: string;
  readonly #transport: Transport;
  readonly #lookUp: () => Promise<Credential | undefined>;
  readonly #tokenOptions: TokenOptions;
  readonly #tokens = new Map<string, Promise<Token>>();
  /** Scopes that the registry asked for beyond those of the request, by the key of the request's. */
  readonly #asked = new Map<string, readonly Scope[]>();
  #scheme: Scheme = { kind: 'none' };
  #credential: Promise<Credential | undefined> | undefined;

  /** @param lookUp finds the credentials; asked once, and only when the registry wants any. */
  constructor(
    host: string,
    transport: Transport,
    lookUp: () => Promise<Credential | undefined>,
    tokenOptions: TokenOptions = {},
  ) {
    this.#host = host;
    this.#transport = transport;
    this.#lookUp = lookUp;
    this.#tokenOptions = tokenOptions;
  }

  /** Whether the registry has asked who we are. */
  get asked(): boolean {
    return this.#scheme.kind !== 'none';
  }

  /**
   * The Authorization for a request that needs `scopes`; undefined as long as the registry has not asked for any.
   * @throws SlipwayError E_UNAUTHORIZED when no token is given, E_REGISTRY_UNREACHABLE.
   */
  async authorization(scopes: readonly Scope[]): Promise<string | undefined> {
    if (this.#scheme.kind === 'none') return undefined;
    const credential = await this.#credentialOnce();
    if (this.#scheme.kind === 'basic') {
      return credential?.kind === 'basic' ? basic(credential.username, credential.password) : undefined;
    }
    if (credential?.kind === 'registry-token') return `Bearer ${credential.token}`;
    const { text } = await this.#token(this.#scheme.service, scopes, credential);
    return `Bearer ${text}`;
  }

  /**
   * Learns from an answer 401.
   * @param used the Authorization of the refused request.
   * @returns true when asking again makes sense.
   */
  async refused(response: HttpResponse, scopes: readonly Scope[], used: string | undefined): Promise<boolean> {
    const challenges = parseChallenges(response.headers['www-authenticate']);
    const bearer = challenges.find(({ scheme, params }) => scheme === 'bearer' && params.realm !== undefined);
    if (bearer !== undefined) return this.#refusedBearer(bearer, response, scopes, used);
    if (challenges.some(({ scheme }) => scheme === 'basic')) {
      this.#scheme = { kind: 'basic' };
      const credential = await this.#credentialOnce();
      return used === undefined && credential?.kind === 'basic';
    }
    if (challenges.length > 0 && used === undefined) {
      const offered = challenges.map(({ scheme }) => scheme).join(', ');
      throw new SlipwayError('E_UNAUTHORIZED', `${this.#host} wants to be authorised by ${offered}`, {
        hint: 'only Basic and Bearer are supported',
        details: { registry: this.#host, challenge: headerOf(response, 'www-authenticate') },
      });
    }
    return false;
  }

  async #refusedBearer(
    { params }: Challenge,
    { url }: HttpResponse,
    scopes: readonly Scope[],
    used: string | undefined,
  ): Promise<boolean> {
    this.#scheme = {
      kind: 'bearer',
      service: { registry: this.#host, origin: url, realm: params.realm ?? '', service: params.service },
    };
    const key = keyOf(scopes);
    const known = this.#tokens.get(key);
    const current = await known?.catch(() => undefined);
    const asked = joinScopes([...(this.#asked.get(key) ?? []), params.scope ?? '']);
    this.#asked.set(key, asked);
    // Another request of ours has got a token meanwhile: try that one.
    if (current !== undefined && used !== `Bearer ${current.text}`) return true;
    if (this.#tokens.get(key) === known) this.#tokens.delete(key);
    return (await this.#credentialOnce())?.kind !== 'registry-token' || used === undefined;
  }

  async #token(
    service: TokenService,
    scopes: readonly Scope[],
    credential: Exclude<Credential, { kind: 'registry-token' }> | undefined,
  ): Promise<Token> {
    const key = keyOf(scopes);
    const known = this.#tokens.get(key);
    if (known !== undefined) {
      const token = await known;
      if (Date.now() < token.expires) return token;
    }
    // Of several that find it expired, the first fetches the new one.
    const current = this.#tokens.get(key);
    if (current !== undefined && current !== known) return current;
    const wanted = joinScopes([...scopes, ...(this.#asked.get(key) ?? [])]);
    const fetched = fetchToken(this.#transport, service, wanted, credential, this.#tokenOptions);
    this.#tokens.set(key, fetched);
    fetched.catch(() => {
      if (this.#tokens.get(key) === fetched) this.#tokens.delete(key);
    });
    return fetched;
  }

  #credentialOnce(): Promise<Credential | undefined> {
    this.#credential ??= this.#lookUp();
    return this.#credential;
  }
}

function keyOf(scopes: readonly Scope[]): string {
  return joinScopes(scopes).join(' ');
}

function basic(username: string, password: string): string {
  const basic = Buffer.from(`${username}:${password}`).toString('base64');
  registerSecret(basic);
  return `Basic ${basic}`;
}

import { SlipwayError } from '../base/errors.js';
import { type Reporter, silentReporter } from '../base/reporter.js';
import { Authorizer } from './auth.js';
import { readBounded } from './bounded.js';
import { type Credential, findCredential } from './credentials.js';
import { isPassing, networkError } from './network-failure.js';
import type { RegistryOptions } from './options.js';
import { RegistryError, responseError } from './registry-error.js';
import { backoff, parseRetryAfter, TRIES, wait } from './retry.js';
import type { Scope } from './scope.js';
import {
  discard,
  type HttpResponse,
  headerOf,
  type Method,
  type RequestBody,
  SourceFailure,
  Transport,
} from './transport.js';
import { tellWarnings } from './warnings.js';

const ERROR_BODY_LIMIT = 64 * 1024;

export interface RegistryRequest {
  readonly method: Method;
  /** A path such as `/v2/`, or an absolute URL that the registry gave (next page, upload). */
  readonly target: string | URL;
  /** What is being done to which thing, for errors: `fetching manifest v1 of k8s/base`. */
  readonly what: string;
  readonly scopes: readonly Scope[];
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: RequestBody;
  /** Statuses that are answers; any other is thrown as RegistryError. */
  readonly expect: readonly number[];
  /** False for a request that must not be repeated as it is (a piece of an upload). */
  readonly repeat?: boolean;
  readonly signal?: AbortSignal | undefined;
}

/** An answer read into memory. */
export interface RegistryAnswer extends Omit<HttpResponse, 'body'> {
  readonly bytes: Buffer;
}

/**
 * A conversation with one repository of a registry (or with the registry itself): requests that are authorised, repeated when that may
 * help, and turned into errors that name registry, repository, status and what the registry said.
 */
export class Session {
  readonly host: string;
  readonly repository: string | undefined;
  readonly #transport: Transport;
  readonly #authorizer: Authorizer;
  readonly #reporter: Reporter;
  readonly #retryDelay: number | undefined;
  readonly #signal: AbortSignal | undefined;
  #reached = false;

  /** @param transport shared by the sessions of one command; its own when not given. */
  constructor(
    host: string,
    repository: string | undefined,
    options: RegistryOptions,
    transport: Transport = new Transport(options),
  ) {
    this.host = host;
    this.repository = repository;
    this.#transport = transport;
    this.#reporter = options.reporter ?? silentReporter;
    this.#retryDelay = options.retryDelay;
    this.#signal = options.signal;
    const { credential, env, reporter, signal, retryDelay } = options;
    const patience = options.timeouts?.helper;
    const lookUp = async (): Promise<Credential | undefined> =>
      credential === undefined
        ? findCredential(host, repository, { env, reporter, patience, signal })
        : { kind: 'basic', ...credential };
    this.#authorizer = new Authorizer(host, transport, lookUp, { retryDelay, signal });
  }

  /**
   * Sends a request whose answer is streamed: the caller reads the body to its end or destroys it. Repeated until the head of an
   * answer is there.
   */
  stream(request: RegistryRequest): Promise<HttpResponse> {
    return this.#repeat(request, (response) => Promise.resolve(response));
  }

  /**
   * Sends a request whose answer is small; the whole exchange, body included, is repeated when it breaks.
   * @param limit bytes of the answer.
   * @throws SlipwayError E_REGISTRY when the answer is larger.
   */
  answer(request: RegistryRequest, limit: number): Promise<RegistryAnswer> {
    return this.#repeat(request, async ({ status, headers, body, url }) => {
      const bytes = await readBounded(body, limit);
      if (bytes === undefined) {
        throw new SlipwayError('E_REGISTRY', `${this.host}: ${request.what}: the answer has more than ${limit} bytes`, {
          hint: 'the limit keeps a broken or hostile registry from filling the memory',
        });
      }
      return { status, headers, url, bytes };
    });
  }

  /** Milliseconds to wait before repetition `round`: what the registry asked for when it refused, else longer each time. */
  pause(round: number, failure?: unknown): number {
    const asked = failure instanceof RegistryError ? failure.retryAfter : undefined;
    return asked ?? backoff(round, this.#retryDelay);
  }

  /** The signal of a request together with that of the options. */
  signal(signal: AbortSignal | undefined): AbortSignal | undefined {
    if (signal === undefined || this.#signal === undefined) return signal ?? this.#signal;
    return AbortSignal.any([signal, this.#signal]);
  }

  /** Whether the registry has asked who we are. */
  get asked(): boolean {
    return this.#authorizer.asked;
  }

  /** A line for `--debug`. */
  debug(line: string): void {
    this.#reporter.debug(line);
  }

  async #repeat<T>(given: RegistryRequest, read: (response: HttpResponse) => Promise<T>): Promise<T> {
    const request = { ...given, signal: this.signal(given.signal) };
    const tries = request.repeat === false ? 1 : TRIES;
    for (let round = 0; ; round++) {
      try {
        const { response, proven } = await this.#authorised(request);
        this.#reached = true;
        await this.#tellWarnings(response);
        if (!request.expect.includes(response.status)) throw await this.#failure(request, response, proven);
        return await read(response);
      } catch (error) {
        const failure = this.#explain(error, request);
        if (round + 1 >= tries || !this.isPassing(failure)) throw failure;
        const pause = this.pause(round, failure);
        this.debug(`${failure.message}; again in ${Math.round(pause)} ms`);
        await wait(pause, request.signal);
      }
    }
  }

  /** True when the exchange that ended in `error` may succeed when it is repeated. */
  isPassing(error: unknown): boolean {
    if (error instanceof RegistryError) return error.passing;
    return (
      error instanceof SlipwayError && error.code === 'E_REGISTRY_UNREACHABLE' && isPassing(error.cause, this.#reached)
    );
  }

  /**
   * Sends; answers the registry's challenges at most twice.
   * @returns `proven`: whether the answer is to a request that said who we are.
   */
  async #authorised(request: RegistryRequest): Promise<{ readonly response: HttpResponse; readonly proven: boolean }> {
    const origin = await this.#transport.origin(this.host);
    const url = new URL(request.target, origin);
    const { method, headers = {}, body, scopes, signal } = request;
    for (let round = 0; ; round++) {
      const authorization = url.origin === origin.origin ? await this.#authorizer.authorization(scopes) : undefined;
      const response = await this.#transport.send({ method, url, headers, body, authorization, signal });
      const answer = { response, proven: authorization !== undefined };
      // A 401 from blob storage that we were redirected to is not this registry's challenge.
      if (response.status !== 401 || response.url.origin !== origin.origin || round === 2) return answer;
      if (!(await this.#authorizer.refused(response, scopes, authorization))) return answer;
      discard(response);
    }
  }

  async #failure(request: RegistryRequest, response: HttpResponse, proven: boolean): Promise<RegistryError> {
    const bytes = await readBounded(response.body, ERROR_BODY_LIMIT).catch(() => undefined);
    const { host, repository } = this;
    const purpose = { host, method: request.method, what: request.what, repository, proven };
    return responseError(
      purpose,
      response.status,
      bytes ?? Buffer.alloc(0),
      parseRetryAfter(headerOf(response, 'retry-after')),
    );
  }

  #explain(error: unknown, { what, signal }: RegistryRequest): Error {
    if (signal?.aborted) return signal.reason instanceof Error ? signal.reason : new Error(String(signal.reason));
    if (error instanceof SlipwayError) return error;
    if (error instanceof SourceFailure) return error.error instanceof Error ? error.error : error;
    return networkError(this.host, what, error);
  }

  /** Only what the registry itself says: storage that it redirects to is not known by its name. */
  async #tellWarnings({ url, headers }: HttpResponse): Promise<void> {
    if (url.origin === (await this.#transport.origin(this.host)).origin)
      tellWarnings(this.#reporter, this.host, headers.warning);
  }
}

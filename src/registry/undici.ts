import type { Dispatcher } from 'undici';
import { request } from 'undici/lib/api/index.js';
import buildConnector from 'undici/lib/core/connect.js';
import Agent from 'undici/lib/dispatcher/agent.js';
import EnvHttpProxyAgent from 'undici/lib/dispatcher/env-http-proxy-agent.js';

// The parts of undici that send requests. Its index loads fetch, WebSocket, caches and mocks too, which would be half of what a short command loads.

export { Agent, buildConnector, EnvHttpProxyAgent };

/** `dispatcher.request(options)`, which undici's index would have added to dispatchers. */
export function send(
  dispatcher: Dispatcher,
  options: Dispatcher.RequestOptions,
): Promise<Dispatcher.ResponseData<unknown>> {
  return request.call(dispatcher, options);
}

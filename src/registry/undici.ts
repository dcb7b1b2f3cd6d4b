import * as api from 'undici/lib/api/index.js';
import buildConnector from 'undici/lib/core/connect.js';
import Agent from 'undici/lib/dispatcher/agent.js';
import Dispatcher from 'undici/lib/dispatcher/dispatcher.js';
import EnvHttpProxyAgent from 'undici/lib/dispatcher/env-http-proxy-agent.js';

// The parts of undici that send requests. Its index loads fetch, WebSocket, caches and mocks too, which would be half of what a short command
// loads; and gives dispatchers their methods `request`, `connect` …, as this does.
const { request, connect } = api;
Object.assign(Dispatcher.prototype, { request, connect });

export { Agent, buildConnector, EnvHttpProxyAgent };

import { expect, it } from 'vitest';
import { networkError } from '../../../src/registry/network-failure.js';

const unresolved = Object.assign(new Error('getaddrinfo ENOTFOUND x'), { code: 'ENOTFOUND' });

it.each([
  ['docker.io', 'write the registry in front of it (localhost:5000/NAME)'],
  ['registry.example', 'check the spelling of the host and the name server'],
])('a name of %s that cannot be resolved: %s', (host, hint) => {
  const error = networkError(host, 'looking for a blob', unresolved);
  expect(error).toMatchObject({ code: 'E_REGISTRY_UNREACHABLE', hint: expect.stringContaining(hint) });
  expect(error.hint).toContain('docs/config.md');
});

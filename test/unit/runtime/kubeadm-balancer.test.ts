import { describe, expect, it } from 'vitest';
import { preferredServers } from '../../../src/runtime/kubeadm/balancer.js';

const hosts = (list: string) => [...list].map((address) => ({ address }));
const servers = (host: string, masters: string, workers = 'xyz'): string =>
  preferredServers({ address: host }, { masters: hosts(masters), workers: hosts(workers) }).join('');

describe('the API servers that a host asks', () => {
  it('are its own before the others on a master', () => {
    expect(servers('a', 'abc')).toBe('abc');
    expect(servers('b', 'abc')).toBe('bac');
    expect(servers('c', 'c')).toBe('c');
  });

  it('are spread over the workers, and every worker knows all', () => {
    expect([...'xyz'].map((worker) => servers(worker, 'abc'))).toEqual(['abc', 'bca', 'cab']);
    expect([...'xyz'].map((worker) => servers(worker, 'ab'))).toEqual(['ab', 'ba', 'ab']);
  });

  it('do not depend on which master is asked at the moment', () => {
    expect(servers('y', 'cab')).toBe(servers('y', 'abc'));
    expect(servers('b', 'cab')).toBe(servers('b', 'abc'));
  });
});

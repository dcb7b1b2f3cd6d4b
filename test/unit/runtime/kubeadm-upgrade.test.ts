import { describe, expect, it } from 'vitest';
import { PASSING } from '../../../src/runtime/kubernetes/ask.js';
import { upgradeProblem } from '../../../src/runtime/kubernetes/version.js';

describe('the way from one version to another', () => {
  it('is free within a minor version, in both directions, and to the next one', () => {
    for (const [from, to] of [
      ['v1.20.2', 'v1.20.2'],
      ['v1.20.2', 'v1.20.15'],
      ['v1.20.15', 'v1.20.2'],
      ['v1.20.2', 'v1.21.0'],
      ['v1.9.11', 'v1.10.0'],
    ] as const) {
      expect(upgradeProblem(from, to), `${from} → ${to}`).toBeUndefined();
    }
  });

  it('skips no minor version, and never goes back over one', () => {
    expect(upgradeProblem('v1.20.2', 'v1.22.0')).toContain('v1.21 comes first');
    expect(upgradeProblem('v1.9.0', 'v1.11.0')).toContain('v1.10 comes first');
    expect(upgradeProblem('v1.21.0', 'v1.20.9')).toContain('v1.21.0 cannot go back to v1.20.9');
    expect(upgradeProblem('v1.20.0', 'v2.0.0')).toBe('v1.20.0 cannot become v2.0.0');
    expect(() => upgradeProblem('v1.20.0', 'latest')).toThrow(/"latest" is not a Kubernetes version/);
  });
});

describe('what kubectl says', () => {
  it('is passing while another API server or member of etcd takes over', () => {
    for (const text of [
      'Error from server: etcdserver: leader changed',
      'Error from server: etcdserver: request timed out',
      'The connection to the server apiserver.cluster.local:6443 was refused: dial tcp 10.103.97.2:6443: connect: connection refused',
      'Unable to connect to the server: net/http: TLS handshake timeout',
      'error: http2: client connection lost',
      'Error from server (ServiceUnavailable): the server is currently unable to handle the request',
    ]) {
      expect(PASSING.test(text), text).toBe(true);
    }
  });

  it('is final when it is an answer', () => {
    for (const text of [
      'Error from server (NotFound): nodes "n1" not found',
      'Error from server (AlreadyExists): configmaps "slipway-launched" already exists',
      'error: You must be logged in to the server (Unauthorized)',
      'error: unable to drain node "n1", aborting command...',
      'Error from server (Forbidden): nodes is forbidden',
    ]) {
      expect(PASSING.test(text), text).toBe(false);
    }
  });
});

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseHealth, parseMembers } from '../../../src/runtime/kubeadm/etcd.js';
import { withoutEndpoint } from '../../../src/runtime/kubeadm/remove.js';
import { quorumProblem } from '../../../src/runtime/kubernetes/quorum.js';

const LIST = `8e9e05c52164694d, started, m1, https://10.0.0.2:2380, https://10.0.0.2:2379, false
91bc3c398fb3c146, unstarted, , https://[fd00::3]:2380, , false
`;

describe('what etcdctl prints', () => {
  it('gives members by the addresses of their hosts', () => {
    expect(parseMembers(LIST)).toEqual([
      { id: '8e9e05c52164694d', address: '10.0.0.2', started: true },
      { id: '91bc3c398fb3c146', address: 'fd00::3', started: false },
    ]);
    expect(parseMembers('')).toEqual([]);
  });

  it('gives those that are healthy', () => {
    expect(
      parseHealth(`https://10.0.0.2:2379 is healthy: successfully committed proposal: took = 9.1ms
{"level":"warn","msg":"retrying of unary invoker failed"}
https://10.0.0.3:2379 is unhealthy: failed to commit proposal: context deadline exceeded
Error: unhealthy cluster
`),
    ).toEqual(['10.0.0.2']);
  });
});

describe('the quorum of etcd', () => {
  const member = (address: string) => ({ id: address, address, started: true });
  const problem = (all: string, healthy: string, leaving: string): string | undefined =>
    quorumProblem([...all].map(member), new Set(healthy), [...leaving]);

  it('lets masters go as long as a majority is up before and after each', () => {
    expect(problem('abc', 'abc', 'a')).toBeUndefined();
    expect(problem('abc', 'abc', 'ab')).toBeUndefined();
    expect(problem('ab', 'ab', 'a')).toBeUndefined();
    expect(problem('abc', 'ab', 'c')).toBeUndefined();
    expect(problem('abcde', 'abc', 'de')).toBeUndefined();
    // the dead one goes first, in whatever order they are named
    expect(problem('abc', 'bc', 'ba')).toBeUndefined();
    expect(problem('abc', 'abc', 'x')).toBeUndefined();
  });

  it('refuses the rest, and says why', () => {
    expect(problem('abc', 'bc', 'b')).toBe('without b only 1 of 2 members of etcd would be up, and 2 must be');
    expect(problem('abc', 'c', 'a')).toBe('only 1 of 3 members of etcd are up: it cannot be changed');
    expect(problem('a', 'a', 'a')).toBe('no master would be left');
    expect(problem('abc', 'abc', 'abc')).toBe('no master would be left');
  });

  it('is there afterwards whenever nothing is said against it', () => {
    const some = fc.subarray(['a', 'b', 'c', 'd', 'e']);
    fc.assert(
      fc.property(some, some, some, (all, healthy, leaving) => {
        const left = all.filter((one) => !leaving.includes(one));
        if (left.length === all.length) return;
        if (problem(all.join(''), healthy.join(''), leaving.join('')) !== undefined) return;
        expect(left.filter((one) => healthy.includes(one)).length).toBeGreaterThan(left.length / 2);
      }),
      { numRuns: 500 },
    );
  });
});

it('takes a master out of the list that kubeadm kept before 1.22, and nothing else', () => {
  const status = `apiEndpoints:
  m1:
    advertiseAddress: 10.0.0.2
    bindPort: 6443
  m2:
    advertiseAddress: 10.0.0.3
    bindPort: 6443
apiVersion: kubeadm.k8s.io/v1beta2
kind: ClusterStatus
`;
  expect(withoutEndpoint(status, 'm2')).toBe(status.replace(/ {2}m2:\n.*\n.*\n/, ''));
  expect(withoutEndpoint(status, 'm3')).toBeUndefined();
  expect(withoutEndpoint('', 'm3')).toBeUndefined();
});

import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { parse, stringify } from 'yaml';
import { isSlipwayError } from '../../../src/base/errors.js';
import { parseMemberList } from '../../../src/runtime/k0s/etcd.js';
import { parseStatus } from '../../../src/runtime/k0s/health.js';
import { mergeKubeconfig, withoutOurs } from '../../../src/runtime/k0s/kubeconfig.js';
import { parseJoinToken, SPENT_TOKEN } from '../../../src/runtime/k0s/tokens.js';

const token = (user: string, secret = 'abc123.0123456789abcdef', server = 'https://10.99.0.2:6443'): string =>
  gzipSync(
    stringify({
      apiVersion: 'v1',
      kind: 'Config',
      clusters: [{ name: 'k0s', cluster: { server, 'certificate-authority-data': 'LS0t' } }],
      users: [{ name: user, user: { token: secret } }],
    }),
  ).toString('base64');

describe('a join token', () => {
  it('says for whom it is, where it leads and what it is called', () => {
    expect(parseJoinToken(`${token('kubelet-bootstrap')}\n`)).toEqual({
      id: 'abc123',
      secret: '0123456789abcdef',
      server: 'https://10.99.0.2:6443',
      role: 'worker',
    });
    expect(parseJoinToken(token('controller-bootstrap', undefined, 'https://10.99.0.2:9443')).role).toBe('controller');
    expect(parseJoinToken(token('somebody')).role).toBeUndefined();
  });

  it.each([
    '',
    'H4sIAAAA',
    Buffer.from('plain').toString('base64'),
    gzipSync('a: b').toString('base64'),
    token('kubelet-bootstrap', 'not a token'),
  ])('that is none is refused without being told: %#', (text) => {
    try {
      parseJoinToken(text);
      expect.unreachable();
    } catch (error) {
      expect(isSlipwayError(error, 'E_CLUSTER_STATE')).toBe(true);
      if (text !== '') expect(String(error)).not.toContain(text);
    }
  });

  it('that was used is replaced by one that is read as one, and is none of a cluster', () => {
    expect(parseJoinToken(SPENT_TOKEN)).toMatchObject({ server: 'https://127.0.0.1:6443', role: 'worker' });
  });
});

describe('k0s status', () => {
  it('gives version and role', () => {
    const text = JSON.stringify({
      Version: 'v1.31.14+k0s.0',
      Pid: 812,
      PPid: 1,
      Role: 'controller',
      Workloads: true,
      K0sVars: {},
    });
    expect(parseStatus(text)).toEqual({ version: 'v1.31.14+k0s.0', role: 'controller' });
  });

  it.each(['K0s is not running\n', '', '{}', '{"Version":"v1.23.1+k0s.0","Pid":0,"Role":""}'])(
    'of one that does not run is nothing: %j',
    (text) => {
      expect(parseStatus(text)).toBeUndefined();
    },
  );
});

describe('k0s etcd member-list', () => {
  it('gives addresses; a member that has never come has no name', () => {
    const text =
      'time="…" level=info msg=x\n{"members":{"m1":"https://10.99.0.2:2380","":"https://[fd00::3]:2380","x":"?"}}\n';
    expect(parseMemberList(text, '10.99.0.2')).toEqual([
      { id: 'm1', address: '10.99.0.2', started: true },
      { id: '', address: 'fd00::3', started: false },
    ]);
  });

  it.each(['', 'Error: x', '{"members":[]}', '{'])('that is none is refused: %j', (text) => {
    expect(() => parseMemberList(text, '10.99.0.2')).toThrow(/10\.99\.0\.2: "k0s etcd member-list"/);
  });
});

describe('the kubeconfig of root', () => {
  const ours = stringify({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'local', cluster: { server: 'https://localhost:6443', 'certificate-authority-data': 'Q0E=' } }],
    users: [{ name: 'user', user: { 'client-certificate-data': 'Q0U=' } }],
    contexts: [{ name: 'Default', context: { cluster: 'local', user: 'user' } }],
    'current-context': 'Default',
  });
  const theirs = stringify({
    apiVersion: 'v1',
    kind: 'Config',
    preferences: { colors: true },
    clusters: [{ name: 'local', cluster: { server: 'https://elsewhere:6443' } }],
    users: [{ name: 'user', user: { token: 'theirs' } }],
    contexts: [{ name: 'Default', context: { cluster: 'local', user: 'user' } }],
    'current-context': 'Default',
  });

  it('is ours where there was none', () => {
    const config = parse(mergeKubeconfig('', ours));
    expect(config['current-context']).toBe('slipway-k0s');
    expect(config.clusters).toEqual([
      { name: 'slipway-k0s', cluster: { server: 'https://localhost:6443', 'certificate-authority-data': 'Q0E=' } },
    ]);
    expect(withoutOurs(mergeKubeconfig('', ours))).toBeUndefined();
  });

  it('keeps what is there, also what is chosen, and gives it back', () => {
    const merged = mergeKubeconfig(theirs, ours);
    const config = parse(merged);
    expect(config['current-context']).toBe('Default');
    expect(config.preferences).toEqual({ colors: true });
    expect(config.clusters.map(({ name }: { name: string }) => name)).toEqual(['local', 'slipway-k0s']);
    expect(parse(withoutOurs(merged) ?? '')).toEqual(parse(theirs));
    expect(withoutOurs(theirs)).toBe(theirs);
  });

  it('is the same when it is merged again', () => {
    expect(mergeKubeconfig(mergeKubeconfig(theirs, ours), ours)).toBe(mergeKubeconfig(theirs, ours));
  });

  it.each(['clusters: 5', 'a: [', '- x'])('that is none is not touched: %j', (text) => {
    expect(() => mergeKubeconfig(text, ours)).toThrow(/not a kubeconfig/);
  });
});

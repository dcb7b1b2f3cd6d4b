import { cp, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { registerSecret } from '../../../src/base/redact.js';
import { digestOf } from '../../../src/image/digest.js';
import { markLeaving } from '../../../src/install/delete-hosts.js';
import type { InstallImage } from '../../../src/install/files/install-image.js';
import { hostsToReset } from '../../../src/install/reset-hosts.js';
import type { ClusterSpec } from '../../../src/install/spec/cluster-spec.js';
import { type SshFlags, specFromFlags } from '../../../src/install/spec/spec-from-flags.js';
import { hostPaths, statePaths } from '../../../src/install/state/cluster-paths.js';
import { type ClusterState, readClusterState, writeClusterState } from '../../../src/install/state/cluster-state.js';
import { keepableEnv } from '../../../src/install/state/kept-spec.js';
import { inKnownOrder, nextState, stillOnTheirWay } from '../../../src/install/state/next-state.js';
import {
  addressesToDelete,
  joinSpec,
  reachedAsBefore,
  specFromState,
} from '../../../src/install/state/spec-from-state.js';

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'slipway-state-'));
});
afterEach(() => rm(dir, { recursive: true }));

const image = (digest = 'one'): InstallImage => ({
  name: 'k8s:v1.20.2',
  digest: digestOf(digest),
  descriptor: { mediaType: 'application/vnd.oci.image.manifest.v1+json', digest: digestOf(digest), size: 1 },
  platform: { os: 'linux', architecture: 'amd64' },
  metadata: {},
  version: 'v1.20.2',
  rootfs: { entries: [], digest: digestOf(''), skipped: [] },
  env: {},
  launchCmds: [],
  launchApps: [],
  applications: [],
  kubeConstraint: undefined,
  upstreams: [],
  containerRuntime: 'containerd',
});
const spec = (masters: string, nodes: string, password = 'correct horse') =>
  specFromFlags({ image: 'k8s:v1.20.2', masters, nodes, password, env: ['A=1', 'DB_PASSWORD=x'], cluster: 'prod' });
const next = (before: ClusterState | undefined, wanted: ClusterSpec, from = image()): ClusterState =>
  nextState(before, { spec: wanted, image: from, driver: { name: 'k8s' }, documents: [], servesImages: true });
const running = (state: ClusterState): ClusterState => ({ ...state, phase: 'running' });

describe('the state of a cluster', () => {
  it('is read as it was written, without secrets, for its owner alone', async () => {
    const paths = statePaths(dir, 'prod');
    expect(await readClusterState(paths)).toBeUndefined();
    const state = next(undefined, spec('10.0.0.2', '10.0.0.3'));
    await writeClusterState(paths, state);
    const read = await readClusterState(paths);
    expect(read).toEqual({ ...state, updated: read?.updated });
    expect(read).toMatchObject({ env: { A: '1' }, envNotKept: ['DB_PASSWORD'], phase: 'installing' });
    expect(await readFile(paths.state, 'utf8')).not.toContain('correct horse');
    expect((await stat(paths.state)).mode & 0o777).toBe(0o600);
    expect((await stat(paths.dir)).mode & 0o777).toBe(0o700);
  });

  it('that is damaged is never guessed', async () => {
    const paths = statePaths(dir, 'prod');
    await writeClusterState(paths, next(undefined, spec('10.0.0.2', '')));
    const text = await readFile(paths.state, 'utf8');
    await writeFile(paths.state, text.slice(0, 100));
    await expect(readClusterState(paths)).rejects.toThrow(/cluster\.json cannot be read: it is not valid JSON/);
    await writeFile(paths.state, '{"schema":2}');
    await expect(readClusterState(paths)).rejects.toThrow(
      /cluster\.json cannot be read: a newer Slipway has written it/,
    );
  });

  it('is not that of a copy of its directory: a reset of the copy would take the hosts of the cluster', async () => {
    await writeClusterState(statePaths(dir, 'prod'), next(undefined, spec('10.0.0.2', '')));
    await cp(statePaths(dir, 'prod').dir, statePaths(dir, 'prod-backup').dir, { recursive: true });
    await expect(readClusterState(statePaths(dir, 'prod-backup'))).rejects.toMatchObject({
      code: 'E_CLUSTER_STATE',
      message: expect.stringContaining('is the state of the cluster prod, not of prod-backup'),
    });
    expect((await readClusterState(statePaths(dir, 'prod')))?.name).toBe('prod');
  });

  it('keeps the cluster’s identity and each host’s number, also when hosts come and go', () => {
    const first = next(undefined, spec('10.0.0.2', '10.0.0.3,10.0.0.4'));
    expect(first.hosts.map(({ address, index }) => `${address} ${index}`)).toEqual([
      '10.0.0.2 0',
      '10.0.0.3 1',
      '10.0.0.4 2',
    ]);
    const after = next(first, spec('10.0.0.2', '10.0.0.5,10.0.0.4'));
    expect(after.id).toBe(first.id);
    // 10.0.0.3 is no longer wanted, and stays known so that it can be cleaned
    expect(after.hosts.map(({ address, index }) => `${address} ${index}`)).toEqual([
      '10.0.0.2 0',
      '10.0.0.5 3',
      '10.0.0.4 2',
      '10.0.0.3 1',
    ]);
  });

  it('of a cluster that is up takes more workers, and nothing that needs more than `run`', () => {
    const up = running(next(undefined, spec('10.0.0.2', '10.0.0.3')));
    expect(next(up, spec('10.0.0.2', '10.0.0.3,10.0.0.4'))).toMatchObject({ phase: 'running' });
    const refused = (masters: string, nodes: string, other = 'one'): string => {
      try {
        next(up, spec(masters, nodes), image(other));
      } catch (error) {
        return (error as Error).message;
      }
      return 'taken';
    };
    expect(refused('10.0.0.2', '10.0.0.3', 'two')).toMatch(
      /runs k8s:v1\.20\.2 \(sha256:.*\), and k8s:v1\.20\.2 is another image/,
    );
    expect(refused('10.0.0.2', '10.0.0.4')).toMatch(/has more hosts: 10\.0\.0\.3/);
    expect(refused('10.0.0.9', '10.0.0.3')).toMatch(/begins on 10\.0\.0\.2, not on 10\.0\.0\.9/);
    expect(refused('10.0.0.2,10.0.0.3', '')).toMatch(/has 10\.0\.0\.3 as a node, not as a master/);
    expect(() => next({ ...up, phase: 'resetting' }, spec('10.0.0.2', '10.0.0.3'))).toThrow(/half taken away/);
  });
});

describe('hosts that leave', () => {
  const up = running(next(undefined, spec('10.0.0.2,10.0.0.3', '10.0.0.4'), image()));
  const gone = (wanted: ClusterSpec): string[] =>
    nextState(
      up,
      { spec: wanted, image: image(), driver: { name: 'k8s' }, documents: [], servesImages: true },
      { removal: true, change: undefined },
    ).hosts.flatMap(({ address, leaving }) => (leaving ? address : []));

  it('stay known until they are clean, where taking out is allowed', () => {
    expect(gone(spec('10.0.0.2', '10.0.0.4'))).toEqual(['10.0.0.3']);
    expect(gone(spec('10.0.0.3', '10.0.0.4'))).toEqual(['10.0.0.2']);
    expect(() => next(up, spec('10.0.0.2', '10.0.0.4'))).toThrow(/has more hosts: 10\.0\.0\.3/);
  });

  it('may come back, with the number that they had', () => {
    const left = markLeaving(up, ['10.0.0.4']);
    expect(next(left, spec('10.0.0.2,10.0.0.3', '10.0.0.4')).hosts).toMatchObject([
      { index: 0 },
      { index: 1 },
      { address: '10.0.0.4', index: 2 },
    ]);
    expect(specFromState(left, { ssh: {}, env: { DB_PASSWORD: 'x' } }).hosts.map(({ address }) => address)).toEqual([
      '10.0.0.2',
      '10.0.0.3',
    ]);
  });

  it('are refused when the cluster needs them', () => {
    expect(() => markLeaving(up, ['10.0.0.2'])).toThrow(/10\.0\.0\.2 serves the registry of cluster prod/);
    expect(() => markLeaving(up, ['10.0.0.2', '10.0.0.3'])).toThrow(/no master of cluster prod would be left/);
    expect(() => markLeaving(up, ['10.0.0.9'])).toThrow(/10\.0\.0\.9: no host of cluster prod/);
    expect(markLeaving(up, ['10.0.0.3']).hosts.filter(({ leaving }) => leaving)).toHaveLength(1);
    expect(() => addressesToDelete(up, { nodes: '10.0.0.3' })).toThrow(/10\.0\.0\.3 is a master of prod/);
    expect(() => addressesToDelete(up, {})).toThrow(/no hosts are given/);
  });
});

describe('another image', () => {
  const up = running(next(undefined, spec('10.0.0.2', '10.0.0.3'), image()));
  const change = (from: ClusterState, to: string, how: 'upgrade' | 'rollback') =>
    nextState(
      from,
      {
        spec: spec('10.0.0.2', '10.0.0.3'),
        image: image(to),
        driver: { name: 'k8s' },
        documents: [],
        servesImages: true,
      },
      { removal: false, change: how },
    );

  it('is what the cluster is on its way to; the one before is kept, also when the way is gone in two goes', () => {
    const half = change(up, 'two', 'upgrade');
    expect(half).toMatchObject({ changing: 'upgrade', image: { digest: digestOf('two') } });
    expect(half.previous?.digest).toBe(digestOf('one'));
    expect(change(half, 'two', 'upgrade')).toMatchObject({ changing: 'upgrade', previous: half.previous });
    // To a third one from half way: what was whole is what there is to go back to.
    expect(change(half, 'three', 'upgrade').previous?.digest).toBe(digestOf('one'));
    const { changing: _, ...there } = half;
    expect(change(there, 'one', 'rollback')).toMatchObject({
      changing: 'rollback',
      previous: { digest: digestOf('two') },
    });
    expect(next(there, spec('10.0.0.2', '10.0.0.3'), image('two'))).not.toHaveProperty('changing');
  });
});

describe('hosts on their way into a cluster that is up', () => {
  const up = running(next(undefined, spec('10.0.0.2', '10.0.0.3')));

  it('are known until they have come, also over several goes', () => {
    expect(up).not.toHaveProperty('scaleUp');
    expect(next(up, spec('10.0.0.2', '10.0.0.3'))).not.toHaveProperty('scaleUp');
    const one = next(up, spec('10.0.0.2', '10.0.0.3,10.0.0.4'));
    expect(one.scaleUp?.hosts).toEqual(['10.0.0.4']);
    const before = { ...one, scaleUp: { hosts: ['10.0.0.4'], begun: 'monday' } };
    expect(next(before, spec('10.0.0.2', '10.0.0.3,10.0.0.4')).scaleUp).toEqual(before.scaleUp);
    const two = next(before, spec('10.0.0.2', '10.0.0.3,10.0.0.4,10.0.0.5'));
    expect(two.scaleUp?.hosts).toEqual(['10.0.0.4', '10.0.0.5']);
    expect(two.scaleUp?.begun).not.toBe('monday');
    const gone = nextState(
      before,
      {
        spec: spec('10.0.0.2', '10.0.0.3'),
        image: image(),
        driver: { name: 'k8s' },
        documents: [],
        servesImages: true,
      },
      { removal: true, change: undefined },
    );
    expect(gone).not.toHaveProperty('scaleUp');
    // one that left comes anew
    expect(next(gone, spec('10.0.0.2', '10.0.0.3,10.0.0.4')).scaleUp?.hosts).toEqual(['10.0.0.4']);
  });

  it('are those that failed, when a command has ended', () => {
    const failed = new Set(['10.0.0.3', '10.0.0.5']);
    expect(stillOnTheirWay(up, failed)).toEqual({});
    const scaleUp = { hosts: ['10.0.0.4', '10.0.0.5'], begun: 'monday' };
    expect(stillOnTheirWay({ ...up, scaleUp }, failed).scaleUp?.hosts).toEqual(['10.0.0.5']);
    expect(stillOnTheirWay({ ...up, scaleUp }, new Set())).toEqual({});
    expect(stillOnTheirWay({ ...up, phase: 'installing' }, failed).scaleUp?.hosts).toEqual(['10.0.0.3']);
  });
});

describe('plugins', () => {
  const plugin = (name: string, data: string) => ({
    name,
    type: 'SHELL' as const,
    phases: ['PreClean' as const],
    data,
    source: 'the Clusterfile',
  });

  it('are kept without those that have a secret in them, which are named', () => {
    registerSecret('hunter3hunter3');
    const wanted = { ...spec('10.0.0.2', ''), plugins: [plugin('a', 'true'), plugin('b', 'login hunter3hunter3')] };
    const state = nextState(undefined, {
      spec: wanted,
      image: image(),
      driver: { name: 'k8s' },
      documents: [],
      servesImages: true,
      imagePlugins: [plugin('c', 'true'), plugin('d', 'login hunter3hunter3')],
    });
    expect(state.plugins.map(({ name }) => name)).toEqual(['a']);
    expect(state.imagePlugins.map(({ name }) => name)).toEqual(['c']);
    expect(state.notKept).toEqual(['Plugin b']);
    expect(JSON.stringify(state)).not.toContain('hunter3');
    expect(() => specFromState(state, { ssh: {}, env: { DB_PASSWORD: 'x' } })).toThrow(/secrets .* Plugin b/);
    const kept = { ...state, notKept: [] };
    expect(specFromState(kept, { ssh: {}, env: { DB_PASSWORD: 'x' } }).plugins).toEqual([plugin('a', 'true')]);
  });
});

describe('hosts that join', () => {
  const up = running(next(undefined, spec('10.0.0.2', '10.0.0.4'), image()));
  const join_ = (masters?: string, nodes?: string, env: Record<string, string> = { DB_PASSWORD: 'x' }): string =>
    joinSpec(up, { ssh: {}, env, masters, nodes })
      .hosts.map(({ address, roles }) => `${address} ${roles}`)
      .join(', ');

  it('are added to those that there are; the same again changes nothing', () => {
    expect(join_('10.0.0.3', '10.0.0.5')).toBe('10.0.0.2 master, 10.0.0.4 node, 10.0.0.3 master, 10.0.0.5 node');
    expect(join_('10.0.0.2', '10.0.0.4')).toBe('10.0.0.2 master, 10.0.0.4 node');
  });

  it('have one role, and secrets that are not kept must be given again', () => {
    expect(() => join_(undefined, '10.0.0.2')).toThrow(/10\.0\.0\.2 is a master of prod already/);
    expect(() => join_('10.0.0.7', '10.0.0.7')).toThrow(/10\.0\.0\.7 is given as master and as node/);
    expect(() => join_()).toThrow(/no hosts are given/);
    expect(() => join_('10.0.0.7', undefined, {})).toThrow(
      /secrets of cluster prod are needed.*the variable DB_PASSWORD/,
    );
  });
});

it('masters have the order in which they came, however somebody writes them down', () => {
  const up = running(next(undefined, spec('10.0.0.2,10.0.0.3', '10.0.0.4')));
  const order = (masters: string, nodes: string): string =>
    inKnownOrder(spec(masters, nodes), up)
      .hosts.map(({ address }) => address)
      .join(' ');
  expect(order('10.0.0.1-10.0.0.3', '10.0.0.5,10.0.0.4')).toBe('10.0.0.2 10.0.0.3 10.0.0.4 10.0.0.1 10.0.0.5');
  expect(order('10.0.0.3', '10.0.0.4')).toBe('10.0.0.3 10.0.0.4');
  // the first one was taken out, and has come back as the last
  const later = { ...up, hosts: [...up.hosts.slice(1), ...up.hosts.slice(0, 1)] };
  const again = inKnownOrder(spec('10.0.0.2,10.0.0.3', '10.0.0.4'), later);
  expect(next(later, again).hosts.map(({ address }) => address)).toEqual(['10.0.0.3', '10.0.0.4', '10.0.0.2']);
});

it('hosts are reached as they were, where flags say nothing else', () => {
  const { hosts, ...up } = running(next(undefined, spec('10.0.0.2', '10.0.0.4')));
  const before = {
    ...up,
    hosts: hosts.map((host, index) => ({ ...host, ssh: { user: 'op', port: 22, privateKey: `/k/${index}` } })),
  };
  const reached = (flags: SshFlags): string =>
    reachedAsBefore(spec('10.0.0.2', '10.0.0.4,10.0.0.5'), before, flags)
      .hosts.map(({ ssh }) => `${ssh.user} ${ssh.privateKey}`)
      .join(', ');
  expect(reached({})).toBe('op /k/0, op /k/1, op /k/0');
  expect(reached({ user: 'root', privateKey: '/mine' })).toBe('root /mine, root /mine, root /mine');
  expect(reached({ password: 'secret' })).toBe('op undefined, op undefined, op undefined');
  const fresh = spec('10.0.0.2', '');
  expect(reachedAsBefore(fresh, undefined, {})).toEqual(fresh);
});

it('knows a secret in a document also when JSON writes it otherwise', () => {
  const password = 'say "no"\\to me';
  registerSecret(password);
  const kept = next(undefined, {
    ...spec('10.0.0.2', ''),
    configDocuments: [{ kind: 'ClusterConfiguration', apiServer: { extraArgs: [{ name: 'x', value: password }] } }],
  });
  expect(kept.configDocuments).toEqual([]);
  expect(kept.notKept).toEqual(['document ClusterConfiguration']);
});

it('what is kept of a specification gives it again, without its secrets', () => {
  registerSecret('hunter2hunter2');
  const whole: ClusterSpec = {
    ...spec('10.0.0.2', '10.0.0.3'),
    registry: { domain: 'sea.hub', port: 5000, names: ['hub.plant'] },
    containerRuntime: 'containerd',
    certSANs: ['api.plant'],
    hostAliases: [{ address: '10.0.0.9', names: ['nas'] }],
    configs: [{ path: 'etc/a', data: 'plain', strategy: 'overwrite' }],
    configDocuments: [{ kind: 'ClusterConfiguration', networking: { podSubnet: '10.1.0.0/16' } }],
    cmds: ['true'],
  };
  const again = specFromState(next(undefined, whole), {
    ssh: { password: 'correct horse' },
    env: { DB_PASSWORD: 'x' },
  });
  expect(again).toEqual({ ...whole, image: `k8s:v1.20.2@${digestOf('one')}`, env: { A: '1', DB_PASSWORD: 'x' } });
  const secret = next(undefined, {
    ...whole,
    configs: [{ path: 'etc/b', data: 'key: hunter2hunter2', strategy: 'overwrite' }],
    configDocuments: [{ kind: 'InitConfiguration', token: 'hunter2hunter2' }],
    registry: { ...whole.registry, username: 'u', password: 'hunter2hunter2' },
  });
  expect(JSON.stringify(secret)).not.toContain('hunter2hunter2');
  expect(secret.notKept).toEqual(['the password of the registry', 'Config etc/b', 'document InitConfiguration']);
  expect(() => specFromState(secret, { ssh: {}, env: { DB_PASSWORD: 'x' } })).toThrow(
    /the password of the registry, Config etc\/b/,
  );
});

describe('the hosts of a reset', () => {
  const state = next(undefined, spec('10.0.0.2', '10.0.0.3'));

  it('are those of the state, or those that are given; what is known of SSH is used', () => {
    const hosts = hostsToReset(
      'prod',
      { password: 'pw12' },
      {
        ...state,
        hosts: state.hosts.map((host) => ({ ...host, ssh: { user: 'admin', port: 2222, privateKey: '/k' } })),
      },
    );
    expect(hosts.map(({ address }) => address)).toEqual(['10.0.0.2', '10.0.0.3']);
    expect(hosts[0]?.ssh).toEqual({ user: 'admin', port: 2222, password: 'pw12' });
    expect(hostsToReset('prod', { nodes: '10.0.0.3' }, state).map(({ address }) => address)).toEqual(['10.0.0.3']);
    expect(hostsToReset('prod', { masters: '10.0.0.7' }, undefined)[0]).toMatchObject({
      roles: ['master'],
      ssh: { user: 'root', port: 22 },
    });
  });

  it('are not some of a cluster that goes on: these are deleted, or were', () => {
    const up = running(next(undefined, spec('10.0.0.2', '10.0.0.3,10.0.0.4'), image()));
    expect(() => hostsToReset('prod', { nodes: '10.0.0.3' }, up)).toThrow(/cluster prod goes on without these hosts/);
    expect(hostsToReset('prod', { masters: '10.0.0.2', nodes: '10.0.0.3' }, up)).toHaveLength(2);
    expect(hostsToReset('prod', { nodes: '10.0.0.3' }, markLeaving(up, ['10.0.0.3']))).toHaveLength(1);
    expect(hostsToReset('prod', { nodes: '10.0.0.9' }, up)).toHaveLength(1);
  });

  it('must be known or given', () => {
    expect(() => hostsToReset('prod', {}, undefined)).toThrow(/no cluster prod/);
    expect(() => hostsToReset('prod', { nodes: 'x' }, undefined)).toThrow(/"x" is not an IP address/);
  });
});

it('knows secrets in an environment by their names', () => {
  const env = {
    A: '1',
    DB_PASSWORD: 'x',
    API_TOKEN: 'y',
    SSH_KEY: 'k',
    MONKEY: 'banana',
    accessKey: 'z',
    KeyboardLayout: 'de',
  };
  expect(keepableEnv(env).envNotKept).toEqual(['DB_PASSWORD', 'API_TOKEN', 'SSH_KEY', 'accessKey']);
});

it('keeps the things of a host apart from the state, also when both are in one directory', () => {
  const host = hostPaths('/var/lib/slipway', 'prod');
  const state = statePaths('/var/lib/slipway', 'prod');
  expect(host.base).toBe(state.dir);
  const names = [
    host.rootfs,
    host.toc,
    host.incoming,
    host.owner,
    state.state,
    state.journal,
    state.lock,
    state.logs,
    state.pki,
    state.kubeconfig,
  ];
  expect(new Set(names).size).toBe(names.length);
});

import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { digestOf } from '../../../src/image/digest.js';
import { hostPaths, statePaths } from '../../../src/install/cluster-paths.js';
import {
  type ClusterState,
  keepableEnv,
  readClusterState,
  writeClusterState,
} from '../../../src/install/cluster-state.js';
import type { InstallImage } from '../../../src/install/install-image.js';
import { nextState } from '../../../src/install/next-state.js';
import { hostsToReset } from '../../../src/install/reset-hosts.js';
import { specFromFlags } from '../../../src/install/spec-from-flags.js';

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'slipway-state-'));
});
afterEach(() => rm(dir, { recursive: true }));

const image = (digest = 'one'): InstallImage => ({
  name: 'k8s:v1.20.2',
  digest: digestOf(digest),
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
const running = (state: ClusterState): ClusterState => ({ ...state, phase: 'running' });

describe('the state of a cluster', () => {
  it('is read as it was written, without secrets, for its owner alone', async () => {
    const paths = statePaths(dir, 'prod');
    expect(await readClusterState(paths)).toBeUndefined();
    const state = nextState(undefined, spec('10.0.0.2', '10.0.0.3'), image(), 'k8s');
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
    await writeClusterState(paths, nextState(undefined, spec('10.0.0.2', ''), image(), 'k8s'));
    const text = await readFile(paths.state, 'utf8');
    await writeFile(paths.state, text.slice(0, 100));
    await expect(readClusterState(paths)).rejects.toThrow(/cluster\.json cannot be read: it is not valid JSON/);
    await writeFile(paths.state, '{"schema":2}');
    await expect(readClusterState(paths)).rejects.toThrow(/cluster\.json cannot be read: schema/);
  });

  it('keeps the cluster’s identity and each host’s number, also when hosts come and go', () => {
    const first = nextState(undefined, spec('10.0.0.2', '10.0.0.3,10.0.0.4'), image(), 'k8s');
    expect(first.hosts.map(({ address, index }) => `${address} ${index}`)).toEqual([
      '10.0.0.2 0',
      '10.0.0.3 1',
      '10.0.0.4 2',
    ]);
    const next = nextState(first, spec('10.0.0.2', '10.0.0.5,10.0.0.4'), image(), 'k8s');
    expect(next.id).toBe(first.id);
    // 10.0.0.3 is no longer wanted, and stays known so that it can be cleaned
    expect(next.hosts.map(({ address, index }) => `${address} ${index}`)).toEqual([
      '10.0.0.2 0',
      '10.0.0.5 3',
      '10.0.0.4 2',
      '10.0.0.3 1',
    ]);
  });

  it('of a cluster that is up takes more workers, and nothing that needs more than `run`', () => {
    const up = running(nextState(undefined, spec('10.0.0.2', '10.0.0.3'), image(), 'k8s'));
    expect(nextState(up, spec('10.0.0.2', '10.0.0.3,10.0.0.4'), image(), 'k8s')).toMatchObject({ phase: 'running' });
    const refused = (masters: string, nodes: string, other = 'one'): string => {
      try {
        nextState(up, spec(masters, nodes), image(other), 'k8s');
      } catch (error) {
        return (error as Error).message;
      }
      return 'taken';
    };
    expect(refused('10.0.0.2', '10.0.0.3', 'two')).toMatch(/runs k8s:v1\.20\.2 \(sha256:.*\), which is another image/);
    expect(refused('10.0.0.2', '10.0.0.4')).toMatch(/has more hosts: 10\.0\.0\.3/);
    expect(refused('10.0.0.9', '10.0.0.3')).toMatch(/begins on 10\.0\.0\.2, not on 10\.0\.0\.9/);
    expect(refused('10.0.0.2,10.0.0.3', '')).toMatch(/has 10\.0\.0\.3 as a node, not as a master/);
    expect(() => nextState({ ...up, phase: 'resetting' }, spec('10.0.0.2', '10.0.0.3'), image(), 'k8s')).toThrow(
      /half taken away/,
    );
  });
});

describe('the hosts of a reset', () => {
  const state = nextState(undefined, spec('10.0.0.2', '10.0.0.3'), image(), 'k8s');

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

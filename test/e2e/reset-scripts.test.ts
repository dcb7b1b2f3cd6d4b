// What a reset takes away of k3s and k0s on hosts where there is more than these: disks and links of somebody, and clusters inside containers.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import * as k0s from '../../src/runtime/k0s/reset-script.js';
import * as k3s from '../../src/runtime/k3s/reset-script.js';
import { type LabHost, labAvailable, startLabHost, stopLabHosts } from '../lab/lab.js';

const lab = labAvailable();
const RUNTIMES = [
  { name: 'k3s', data: '/var/lib/rancher/k3s', shim: 'data/1/bin/containerd-shim-runc-v2', reset: k3s.RESET_SCRIPT },
  { name: 'k0s', data: '/var/lib/k0s', shim: 'bin/containerd', reset: k0s.REMOVE_REMAINS_SCRIPT },
] as const;

describe.skipIf(!lab.ok).each(RUNTIMES)('the reset of $name', ({ data, shim, reset }) => {
  let host: LabHost;
  /** As a file: what is in a command line would be found by what looks for shims there. */
  const script = (): Promise<string> => {
    writeFileSync(join(host.root, 'root/reset.sh'), reset);
    return host.run('sh /root/reset.sh');
  };

  beforeAll(async () => {
    host = await startLabHost('remains-1', '10.99.0.157');
  });
  afterAll(() => stopLabHosts());

  it('empties a disk that is mounted as the data directory, and leaves it mounted', async () => {
    await host.run(
      `mkdir -p ${data} && mount -t tmpfs disk ${data} && mkdir ${data}/sub && echo secret >${data}/sub/key`,
    );
    await host.run(`mkdir ${data}/agent ${data}/agent/volume && mount -t tmpfs pod ${data}/agent/volume`);
    await script();
    expect((await host.run(`findmnt -rn -o SOURCE ${data}; ls -A ${data}`)).trim()).toBe('disk');
    await host.run(`umount ${data}`);
  });

  it('empties what a link leads to, and what was mounted there', async () => {
    await host.run(`rm -rf ${data} && mkdir -p /disk/data/agent/volume && ln -s /disk/data ${data}`);
    await host.run('echo secret >/disk/data/key && mount -t tmpfs pod /disk/data/agent/volume');
    await script();
    expect((await host.run('findmnt -rn -o TARGET | grep ^/disk; ls -A /disk/data 2>/dev/null; true')).trim()).toBe('');
    await host.run(`rm -rf ${data} /disk`);
  });

  it('ends what runs on this host, and nothing of a cluster inside a container', async () => {
    await host.run(`mkdir -p ${data}/${shim.slice(0, shim.lastIndexOf('/'))} && cp /bin/sleep ${data}/${shim}`);
    const pids = await host.run(`groups=$(ls -d /sys/fs/cgroup/pids 2>/dev/null || echo /sys/fs/cgroup)
mkdir -p $groups/kubepods/pod1 $groups/docker/abc/kubepods/pod2
start() { setsid "$@" >/dev/null 2>&1 & }
start sleep 1001; echo $! >$groups/kubepods/pod1/cgroup.procs
start sleep 1002; echo $! >$groups/docker/abc/kubepods/pod2/cgroup.procs
start ${data}/${shim} 1003
start unshare --pid --fork ${data}/${shim} 1004
sleep 1; pgrep -f 'sleep 100|${shim} 100' | wc -l`);
    expect(Number(pids)).toBeGreaterThanOrEqual(4);
    await script();
    const left = (
      await host.run(`ps -e -o args= | grep -E '100[1-4]$' | grep -v grep | sed 's/.* //' | sort -u`)
    ).trim();
    expect(left.split('\n')).toEqual(['1002', '1004']);
    await host.run(`pkill -9 -f '100[24]$'; true`);
  });
});

import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { preloadScript } from '../../../src/runtime/kubeadm/preload.js';
import { tempDirectory } from '../../support/temp.js';

const rootfs = tempDirectory();
mkdirSync(join(rootfs, 'bin'));

/** A program that says what a kubeadm would be told, and which images there are. */
function kubeadm(text: string): void {
  writeFileSync(join(rootfs, 'bin/kubeadm'), `#!/bin/sh\n${text}\n`);
  chmodSync(join(rootfs, 'bin/kubeadm'), 0o755);
}

function run(master: boolean, each: string): string {
  const configuration = { kubernetesVersion: 'v1.20.2', imageRepository: "hub.plant/it's", clusterName: 'plant' };
  return execFileSync('sh', ['-c', preloadScript(rootfs, configuration, 'v1.21.0', master, each)], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  });
}

describe('the images that are fetched before an upgrade', () => {
  it('are those that kubeadm names for the configuration of the cluster and the new version', () => {
    kubeadm('echo "$*"; cat "$5"; echo; echo a/kube-apiserver:1; echo b/kube-proxy:1; echo c/pause:2');
    expect(run(true, 'echo "=$image"')).toBe(
      [
        '=config',
        '=images',
        '=list',
        '=--config',
        '=/dev/stdin',
        `={"kubernetesVersion":"v1.21.0","imageRepository":"hub.plant/it's","clusterName":"plant"}`,
        '=a/kube-apiserver:1',
        '=b/kube-proxy:1',
        '=c/pause:2',
        '',
      ].join('\n'),
    );
    expect(run(false, 'echo "=$image"')).toBe('=b/kube-proxy:1\n=c/pause:2\n');
  });

  it('are not there when one is missing, or when kubeadm cannot say which they are', () => {
    expect(() => run(true, 'test "$image" != c/pause:2')).toThrow();
    kubeadm('exit 3');
    expect(() => run(true, 'true')).toThrow();
    expect(() => run(false, 'true')).toThrow();
  });
});
